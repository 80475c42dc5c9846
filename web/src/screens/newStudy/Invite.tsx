/** Step two: which hospitals have data that fit, and which of them are invited. */

import type { Candidate, CohortHospital } from "../../api/reading";
import { Loading, Problem, State, Tag } from "../../parts";
import { useWords } from "../../words";
import { useFormat, useSentence } from "../../words/format";
import { useTitles } from "../common";
import { NoCohort, useCohorts, type AskProps } from "../NewStudy";

export function Invite({ answers, change }: AskProps) {
  const say = useWords("newStudy");
  const cohorts = useCohorts(answers);
  const toggle = (cohort: CohortHospital, dataset: Candidate) => {
    const others = answers.invite.filter((one) => one.participant !== cohort.participant);
    const isChosen = answers.invite.some(
      (one) => one.participant === cohort.participant && one.dataset === dataset.name,
    );
    const invited = {
      participant: cohort.participant,
      title: cohort.title,
      dataset: dataset.name,
      description: dataset.description,
      rows_band: dataset.rows_band,
    };
    change({ invite: isChosen ? others : [...others, invited] });
  };
  if (cohorts.error) return <Problem error={cohorts.error} retry={cohorts.again} />;
  if (!cohorts.data) return <Loading />;
  const groups = cohorts.data.items.filter((one) => one.datasets.length);
  if (!groups.length) return <NoCohort>{say("noCohortNext")}</NoCohort>;
  return (
    <>
      <h2>{say("inviteTitle")}</h2>
      <p className="hint">
        {say("inviteHint")} {say("invited", { count: answers.invite.length })}
      </p>
      <ul className="cohorts">
        {groups.map((cohort) => (
          <Hospital key={cohort.participant} cohort={cohort} answers={answers} toggle={toggle} />
        ))}
      </ul>
    </>
  );
}

function Hospital({
  cohort,
  answers,
  toggle,
}: {
  cohort: CohortHospital;
  answers: AskProps["answers"];
  toggle: (cohort: CohortHospital, dataset: Candidate) => void;
}) {
  const say = useWords("newStudy");
  const title = useTitles();
  const sentence = useSentence();
  const format = useFormat();
  const chosen = answers.invite.find((one) => one.participant === cohort.participant);
  return (
    <li className={chosen ? "cohort cohort-chosen" : "cohort"}>
      <h3>
        {title(cohort.title)}
        {cohort.mine && <Tag>{say("mine")}</Tag>}
      </h3>
      {cohort.datasets.map((dataset) => {
        const unfit = !dataset.fits;
        return (
          <label key={dataset.dataset} className={unfit ? "cohort-set cohort-unfit" : "cohort-set"}>
            <input
              type="checkbox"
              checked={chosen?.dataset === dataset.name}
              disabled={unfit}
              onChange={() => toggle(cohort, dataset)}
            />
            <span>
              <strong>{title(dataset.description) || dataset.name}</strong>
              <span className="tags">
                <Tag>{dataset.name}</Tag>
                {dataset.rows_band && <Tag>{say("rows", { band: dataset.rows_band })}</Tag>}
                {dataset.agreement && <Tag>{say("agreed", { date: format.date(dataset.agreement.ends) })}</Tag>}
              </span>
              {dataset.flaws.map((why) => (
                <State key={why.en} kind="warn">
                  {sentence(why)}
                </State>
              ))}
              {dataset.lacks.length > 0 && (
                <State kind="info">{say("lacks", { names: dataset.lacks.join(say("comma")) })}</State>
              )}
            </span>
          </label>
        );
      })}
    </li>
  );
}
