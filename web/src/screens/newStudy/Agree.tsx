/** Step three: on which terms each hospital lets us compute, in its own sentences. */

import { Button, Card, CheckField, Loading, Problem } from "../../parts";
import { useWords } from "../../words";
import { useSentence } from "../../words/format";
import { shortName, useTitles } from "../common";
import { NoCohort, useCohorts, type AskProps } from "../NewStudy";
import type { Invited } from "./answers";

export function Agree({ answers, change }: AskProps) {
  const say = useWords("newStudy");
  const cohorts = useCohorts(answers);
  if (!answers.invite.length) return <NoCohort>{say("noneInvited")}</NoCohort>;
  if (cohorts.error) return <Problem error={cohorts.error} retry={cohorts.again} />;
  if (!cohorts.data) return <Loading />;
  const wordsOf = (invited: Invited) =>
    cohorts.data?.items
      .find((one) => one.participant === invited.participant)
      ?.datasets.find((one) => one.name === invited.dataset)?.offers[0]?.words ?? [];
  const mark = (participant: string, isRead: boolean) =>
    change({
      read: [...answers.read.filter((one) => one !== participant), ...(isRead ? [participant] : [])],
    });
  const everybody = answers.invite.map((one) => one.participant);
  return (
    <>
      <div className="toolbar">
        <div>
          <h2>{say("agreeTitle")}</h2>
          <p className="hint">{say("agreeHint")}</p>
        </div>
        <Button small icon="check" onClick={() => change({ read: everybody })}>
          {say("readAll")}
        </Button>
      </div>
      <div className="agree-grid">
        {answers.invite.map((invited) => (
          <Terms
            key={invited.participant}
            invited={invited}
            words={wordsOf(invited)}
            isRead={answers.read.includes(invited.participant)}
            onRead={(isRead) => mark(invited.participant, isRead)}
          />
        ))}
      </div>
    </>
  );
}

function Terms({
  invited,
  words,
  isRead,
  onRead,
}: {
  invited: Invited;
  words: { en: string; zh: string }[];
  isRead: boolean;
  onRead: (isRead: boolean) => void;
}) {
  const say = useWords("newStudy");
  const sentence = useSentence();
  const title = useTitles();
  return (
    <Card title={title(invited.title) || shortName(invited.participant)} hint={title(invited.description)}>
      {words.length ? (
        <ul className="sentences">
          {words.map((one) => (
            <li key={one.en}>{sentence(one)}</li>
          ))}
        </ul>
      ) : (
        <p className="hint">{say("noTerms")}</p>
      )}
      <CheckField label={say("read")} checked={isRead} onChecked={onRead} />
    </Card>
  );
}
