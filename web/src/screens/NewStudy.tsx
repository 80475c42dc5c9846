/** A study without code: question, hospitals, agreements, how to learn, review. Nothing typed is lost. */

import { useEffect, useState } from "react";
import { useNavigate, useSearchParams } from "react-router";
import { api, newKey, part } from "../api/client";
import { useGet, useSend } from "../api/hooks";
import { itemsOf, type Cohort, type Drafted, type Recipe, type Rule, type Study } from "../api/reading";
import { Await, Button, Card, Empty, Facts, Notice, Page, Problem } from "../parts";
import { useMay } from "../api/session";
import { useWords } from "../words";
import { useSentence } from "../words/format";
import { Steps, shortName, useKept, useTitles } from "./common";
import { answersFrom, answersOf, FIRST, flawsOf, stepOf, type Answers } from "./newStudy/answers";
import { Agree } from "./newStudy/Agree";
import { Configure } from "./newStudy/Configure";
import { Invite } from "./newStudy/Invite";
import { Question } from "./newStudy/Question";

const STEPS = ["question", "invite", "agree", "configure", "review"] as const;

export default function NewStudy() {
  const say = useWords("newStudy");
  const may = useMay()("study.run");
  const [answers, change, forget] = useKept<Answers>("study", FIRST);
  const recipes = useGet<Recipe[] | { items: Recipe[]; next: null }>("/recipes");
  const rules = useGet<Rule[] | { items: Rule[]; next: null }>("/rules");
  const loaded = useRepeated(change);
  const at = Math.min(answers.step, STEPS.length - 1);
  const go = (step: number) => change({ step, reached: Math.max(answers.reached, step) });
  return (
    <Page
      title={say("title")}
      subtitle={say("subtitle")}
      back={{ to: "/studies", title: say("back") }}
      actions={
        answers.touched && (
          <Button kind="quiet" icon="trash" onClick={forget}>
            {say("forget")}
          </Button>
        )
      }
    >
      {!may && <Notice kind="warn" title={say("mayNot")}>{say("mayNotNext")}</Notice>}
      {loaded.error ? <Problem error={loaded.error} /> : null}
      <Steps
        label={say("steps")}
        names={STEPS.map((step) => say(`step.${step}`))}
        at={at}
        reached={answers.reached}
        onStep={go}
      />
      <Await of={recipes}>
        {(found) => (
          <Await of={rules}>
            {(known) => (
              <Asked
                answers={answers}
                change={(next) => change({ ...next, touched: true })}
                recipes={itemsOf(found)}
                rules={itemsOf(known)}
                at={at}
                go={go}
                forget={forget}
                may={may}
              />
            )}
          </Await>
        )}
      </Await>
    </Page>
  );
}

/** Begin from an earlier study's plan, if the address names one. */
function useRepeated(change: (next: Partial<Answers>) => void) {
  const [search, setSearch] = useSearchParams();
  const from = search.get("from") ?? "";
  const study = useGet<Study>(`/studies/${part(from)}`, {}, { enabled: Boolean(from) });
  useEffect(() => {
    if (!study.data) return;
    change(answersFrom(study.data));
    setSearch({}, { replace: true });
  }, [study.data, change, setSearch]);
  return study;
}

export type AskProps = {
  answers: Answers;
  change: (next: Partial<Answers>) => void;
  recipes: Recipe[];
  rules: Rule[];
};

function Asked({
  at,
  go,
  forget,
  may,
  ...asked
}: AskProps & { at: number; go: (step: number) => void; forget: () => void; may: boolean }) {
  const say = useWords("newStudy");
  const [shown, setShown] = useState(-1);
  const recipe = asked.recipes.find((one) => one.name === asked.answers.recipe);
  const flaws = flawsOf(asked.answers, STEPS[at] ?? "review", recipe);
  const next = () => (flaws.length ? setShown(at) : go(at + 1));
  const step = STEPS[at];
  return (
    <>
      <Card>
        {step === "question" && <Question {...asked} />}
        {step === "invite" && <Invite {...asked} />}
        {step === "agree" && <Agree {...asked} />}
        {step === "configure" && <Configure {...asked} />}
        {step === "review" && <Review {...asked} go={go} forget={forget} may={may} />}
      </Card>
      {shown === at && flaws.length > 0 && (
        <Notice kind="warn" title={say("before")}>
          <ul>
            {flaws.map((flaw) => (
              <li key={flaw}>{say(`flaw.${flaw}`)}</li>
            ))}
          </ul>
        </Notice>
      )}
      <div className="wizard-foot">
        {at > 0 && (
          <Button icon="left" onClick={() => go(at - 1)}>
            {say("previous")}
          </Button>
        )}
        <span className="hint">{say("kept")}</span>
        {step !== "review" && (
          <Button kind="primary" onClick={next}>
            {say("next", { step: say(`step.${STEPS[at + 1]}`) })}
          </Button>
        )}
      </div>
    </>
  );
}

/** What will happen, in words, checked by the node; then the start. */
function Review({
  answers,
  forget,
  may,
  recipes,
  go,
}: AskProps & { forget: () => void; may: boolean; go: (step: number) => void }) {
  const say = useWords("newStudy");
  const sentence = useSentence();
  const title = useTitles();
  const navigate = useNavigate();
  const [key] = useState(newKey);
  const check = useSend((given: Answers) => api.post<Drafted>("/drafts", answersOf(given)));
  const { mutate } = check;
  useEffect(() => mutate(answers), [answers, mutate]);
  const start = useSend(
    (draft: Record<string, unknown>) => api.post<{ study: string }>("/studies", draft, { key }),
    {
      refresh: ["/studies"],
      done: ({ study }) => {
        forget();
        void navigate(`/studies/${part(study)}`);
      },
    },
  );
  const recipe = recipes.find((one) => one.name === answers.recipe);
  const flaws = check.data?.flaws ?? [];
  const nameOf = (who: string) =>
    title(answers.invite.find((one) => one.participant === who)?.title) || shortName(who);
  return (
    <>
      <h2>{say("reviewTitle")}</h2>
      <p className="hint">{say("reviewHint")}</p>
      <Facts
        items={[
          [say("review.title"), title(answers.title)],
          [say("review.question"), title(answers.question) || "–"],
          [say("review.hospitals"), answers.invite.map((one) => title(one.title) || shortName(one.participant)).join(say("comma"))],
          [say("review.recipe"), recipe ? `${sentence(recipe.title)} (${recipe.name} ${recipe.version})` : answers.recipe],
          [say("review.rule"), answers.rule],
          [say("review.rounds"), answers.rounds],
          [say("review.quorum"), answers.quorum || say("review.quorumUsual")],
          [say("review.privacy"), say(`privacy.${answers.preset || "none"}`)],
          [say("review.leaves"), sentence(recipe?.discloses)],
        ]}
      />
      {check.error && <Problem error={check.error} retry={() => mutate(answers)} />}
      {check.data && flaws.length > 0 && (
        <Notice kind={check.data.draft ? "warn" : "bad"} title={say(check.data.draft ? "declines" : "flaws")}>
          <ul>
            {flaws.map((flaw) => (
              <li key={flaw.field + flaw.participant + flaw.en}>
                {flaw.participant && <strong>{say("at", { name: nameOf(flaw.participant) })}</strong>}
                {sentence(flaw)}{" "}
                <Button small kind="quiet" icon="edit" onClick={() => go(stepOf(flaw.field))}>
                  {say(`step.${STEPS[stepOf(flaw.field)]}`)}
                </Button>
              </li>
            ))}
          </ul>
        </Notice>
      )}
      {start.error ? (
        <Problem error={start.error} />
      ) : (
        check.data && flaws.length === 0 && <Notice kind="good" title={say("sound")}>{say("soundNext")}</Notice>
      )}
      <div className="wizard-start">
        <Button
          kind="primary"
          icon="play"
          busy={start.isPending || check.isPending}
          disabled={!may || !check.data?.draft}
          onClick={() => check.data?.draft && start.mutate(check.data.draft)}
        >
          {say("start")}
        </Button>
      </div>
    </>
  );
}

/** The hospitals whose data fit, asked once for a recipe and a target. */
export function useCohorts(answers: Answers) {
  const find = useSend((given: { recipe: string; target: string; fields: string[] }) =>
    api.post<Cohort>("/cohorts", given),
  );
  const { mutate } = find;
  const fields = answers.fields.join(" ");
  useEffect(() => {
    if (answers.recipe) mutate({ recipe: answers.recipe, target: answers.target, fields: fields.split(" ").filter(Boolean) });
  }, [answers.recipe, answers.target, fields, mutate]);
  return { ...find, again: () => mutate({ recipe: answers.recipe, target: answers.target, fields: answers.fields }) };
}

export function NoCohort({ children }: { children: string }) {
  const say = useWords("newStudy");
  return (
    <Empty title={say("noCohort")} icon="search">
      {children}
    </Empty>
  );
}
