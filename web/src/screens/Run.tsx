/** One study from its first invitation to its end: whom we wait for, what failed, where, what now. */

import { memo, useMemo, useState, type ReactNode } from "react";
import { useParams } from "react-router";
import { api, newKey, part } from "../api/client";
import { useGet, useSend } from "../api/hooks";
import type { Run as RunRecord, RunSite, Study, StudyEvent } from "../api/reading";
import { Await, Button, ButtonLink, Card, Dialog, Empty, Facts, Loading, Notice, Page, Problem, Tabs, saveFile } from "../parts";
import { Code } from "../parts/Code";
import { Curves, type Curve } from "../parts/Curves";
import { useWords } from "../words";
import { useFormat, useSentence } from "../words/format";
import { useMay } from "../api/session";
import { StudyState } from "../shell/StudyState";
import { Identifier, LIVE_STATES, PhaseState, Tile, Tiles, shortName, useTitles } from "./common";
import { useEventWords, useLog } from "./events";

const EVERY_MS = 5_000;
const STAGES = ["recruiting", "opening", "training", "evaluating", "finished"] as const;

export default function Run() {
  const { study: id = "" } = useParams();
  const path = `/studies/${id}`;
  const study = useGet<Study>(path);
  const live = LIVE_STATES.has(study.data?.state ?? "RUNNING");
  const run = useGet<RunRecord>(`${path}/run`, {}, { every: live ? EVERY_MS : undefined });
  const say = useWords("run");
  const title = useTitles();
  return (
    <Page
      title={study.data ? title(study.data.title) : say("title")}
      back={{ to: "/studies", title: say("back") }}
      subtitle={study.data && <Subtitle study={study.data} run={run.data} />}
      actions={run.data && study.data && <Actions study={study.data} run={run.data} />}
      wide
    >
      <Await of={run}>{(found) => <Whole run={found} study={study.data} />}</Await>
    </Page>
  );
}

function Subtitle({ study, run }: { study: Study; run?: RunRecord }) {
  return (
    <span className="subline">
      <StudyState state={run?.state ?? study.state} />
      {study.recipe && <span>{study.recipe}</span>}
      <Identifier value={study.id} length={8} />
    </span>
  );
}

function Actions({ study, run }: { study: Study; run: RunRecord }) {
  const say = useWords("run");
  const may = useMay();
  const mayStop = may("study.stop");
  const mayRun = may("study.run");
  const [asking, setAsking] = useState(false);
  const [key] = useState(newKey);
  const path = `/studies/${part(study.id)}`;
  const stop = useSend(() => api.post(`${path}/stop`, {}, { key }), {
    refresh: ["/studies", path],
    done: () => setAsking(false),
  });
  const resume = useSend(() => api.post(`${path}/resume`, {}), { refresh: ["/studies", path] });
  const live = LIVE_STATES.has(run.state);
  return (
    <>
      {run.state === "COMPLETED" && (
        <ButtonLink kind="primary" icon="run" to={`/studies/${part(study.id)}/compare`}>
          {say("toResult")}
        </ButtonLink>
      )}
      {!live && mayRun && (
        <ButtonLink icon="copy" to={`/studies/new?from=${part(study.id)}`}>
          {say("repeat")}
        </ButtonLink>
      )}
      {run.can_resume && mayRun && (
        <Button kind="primary" icon="play" busy={resume.isPending} onClick={() => resume.mutate(undefined)}>
          {say("resume")}
        </Button>
      )}
      {live && mayStop && (
        <Button kind="danger" icon="stop" onClick={() => setAsking(true)}>
          {say("stop")}
        </Button>
      )}
      {resume.error && <Problem error={resume.error} />}
      <Dialog
        open={asking}
        title={say("stopTitle")}
        onClose={() => setAsking(false)}
        onSubmit={() => stop.mutate(undefined)}
        actions={
          <>
            <Button onClick={() => setAsking(false)}>{say("goOn")}</Button>
            <Button type="submit" kind="danger" busy={stop.isPending}>
              {say("stopNow")}
            </Button>
          </>
        }
      >
        <p>{say("stopMeans")}</p>
        {stop.error && <Problem error={stop.error} />}
      </Dialog>
    </>
  );
}

function Whole({ run, study }: { run: RunRecord; study?: Study }) {
  const say = useWords("run");
  const log = useLog(study?.id, run.log);
  return (
    <>
      <Standing run={run} />
      <Sites run={run} />
      <Amounts run={run} />
      <Card title={say("curves")} hint={say("curvesHint")}>
        <Losses run={run} />
      </Card>
      <Tabs
        name={say("more")}
        tabs={[
          { id: "log", title: say("log"), count: log.length, panel: () => <Log log={log} run={run} /> },
          { id: "plan", title: say("plan"), panel: () => <Plan study={study} /> },
        ]}
      />
    </>
  );
}

/** The first thing to see: how it stands, whom we wait for, or why it ended and what can be done. */
function Standing({ run }: { run: RunRecord }) {
  const say = useWords("run");
  const format = useFormat();
  const sentence = useSentence();
  const title = useTitles();
  const names = new Map(run.sites.map((site) => [site.participant, title(site.title)]));
  const waiting = run.waiting_for.map((who) => names.get(who) ?? shortName(who));
  const troubled = run.sites.filter((site) => site.error);
  if (run.state === "FAILED" || run.state === "STOPPED")
    return (
      <section className={`standing standing-${run.state === "FAILED" ? "bad" : "off"}`} role="status">
        <div className="standing-head">
          <StudyState state={run.state} />
          <h2>{run.state === "FAILED" ? say("failed") : say("stopped")}</h2>
        </div>
        <dl className="standing-answers">
          <div>
            <dt>{say("why")}</dt>
            <dd>{sentence(run.reason) || say("noReason")}</dd>
          </div>
          <div>
            <dt>{say("where")}</dt>
            <dd>
              {troubled.length
                ? troubled.map((site) => title(site.title)).join(say("comma"))
                : say("whereNobody")}
              {run.round ? ` · ${say("atRound", { round: run.round, rounds: run.rounds ?? "–" })}` : ""}
            </dd>
          </div>
          <div>
            <dt>{say("what")}</dt>
            <dd>{run.state === "FAILED" ? say("nowFailed") : say("nowStopped")}</dd>
          </div>
        </dl>
      </section>
    );
  const share = run.rounds ? (run.round ?? 0) / run.rounds : 0;
  return (
    <section className={`standing standing-${run.state === "COMPLETED" ? "good" : "live"}`} role="status">
      <div className="standing-head">
        <h2>
          {run.state === "COMPLETED"
            ? say("completed", { rounds: run.rounds ?? 0 })
            : run.round
              ? say("atRound", { round: run.round, rounds: run.rounds ?? "–" })
              : say(`stage.${stageOf(run)}`)}
        </h2>
        {run.eta_s !== null && LIVE_STATES.has(run.state) && (
          <span className="standing-eta">{say("eta", { time: format.duration(run.eta_s) })}</span>
        )}
      </div>
      <div className="standing-bar" role="progressbar" aria-label={say("progress")} aria-valuemin={0} aria-valuemax={run.rounds ?? 0} aria-valuenow={run.round ?? 0}>
        <i style={{ width: `${100 * (run.state === "COMPLETED" ? 1 : share)}%` }} />
      </div>
      <Stages run={run} />
      {LIVE_STATES.has(run.state) && (
        <p className="standing-waiting">
          {waiting.length ? (
            <>
              <span>{say("waitingFor")}</span>
              {waiting.map((name) => (
                <strong key={name}>{name}</strong>
              ))}
            </>
          ) : (
            <span>{say("waitingForNobody")}</span>
          )}
        </p>
      )}
      {LIVE_STATES.has(run.state) && troubled.length > 0 && (
        <Notice kind="warn" title={say("troubled", { names: troubled.map((site) => title(site.title)).join(say("comma")) })}>
          {sentence(troubled[0]?.error ?? null)} {say("goesOn")}
        </Notice>
      )}
    </section>
  );
}

function stageOf(run: RunRecord): (typeof STAGES)[number] {
  if (run.state === "COMPLETED") return "finished";
  if (run.phase === "waiting") return run.round ? "training" : "opening";
  return STAGES.find((stage) => stage === run.phase) ?? "training";
}

function Stages({ run }: { run: RunRecord }) {
  const say = useWords("run");
  const at = STAGES.indexOf(stageOf(run));
  return (
    <ol className="stages" aria-label={say("stages")}>
      {STAGES.map((stage, index) => (
        <li
          key={stage}
          className={index < at || run.state === "COMPLETED" ? "stages-done" : index === at ? "stages-now" : ""}
          aria-current={index === at ? "step" : undefined}
        >
          {say(`stage.${stage}`)}
        </li>
      ))}
    </ol>
  );
}

function Sites({ run }: { run: RunRecord }) {
  const say = useWords("run");
  if (!run.sites.length)
    return (
      <Card title={say("sites")}>
        <Empty title={say("noSites")} icon="node">
          {say("noSitesNext")}
        </Empty>
      </Card>
    );
  return (
    <Card title={say("sites")} hint={say("sitesHint")}>
      <div className="sites-scroll">
        <table className="sites">
          <thead>
            <tr>
              <th scope="col">{say("hospital")}</th>
              <th scope="col">{say("phase")}</th>
              <th scope="col">{say("heard")}</th>
              <th scope="col" className="figure">{say("rounds")}</th>
              <th scope="col" className="figure">{say("epsilon")}</th>
              <th scope="col" className="figure">{say("bytes")}</th>
            </tr>
          </thead>
          <tbody>
            {run.sites.map((site) => (
              <SiteRows key={site.participant} site={site} run={run} />
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

function SiteRows({ site, run }: { site: RunSite; run: RunRecord }) {
  const say = useWords("run");
  const format = useFormat();
  const sentence = useSentence();
  const title = useTitles();
  const waited = run.waiting_for.includes(site.participant);
  return (
    <>
      <tr className={waited ? "sites-waited" : undefined}>
        <th scope="row">
          {title(site.title) || shortName(site.participant)}
          {waited && <span className="sites-mark">{say("waited")}</span>}
        </th>
        <td>
          <PhaseState phase={site.phase} />
        </td>
        <td>
          <span className={`pulse pulse-${pulseOf(site)}`} aria-hidden="true" />
          {format.ago(site.last_heard)}
        </td>
        <td className="figure">
          {site.rounds_done}
          {run.rounds ? ` / ${run.rounds}` : ""}
        </td>
        <td className="figure">{!site.epsilon_spent ? say("noNoise") : format.number(site.epsilon_spent, 2)}</td>
        <td className="figure">
          ↑ {format.bytes(site.bytes_up)} ↓ {format.bytes(site.bytes_down)}
        </td>
      </tr>
      {site.error && (
        <tr className="sites-error">
          <td colSpan={6}>
            <Notice kind={site.phase === "left" ? "off" : "bad"}>
              {sentence(site.error)} <code>{site.error.code}</code>
            </Notice>
          </td>
        </tr>
      )}
    </>
  );
}

const QUIET_S = 60;

function pulseOf(site: RunSite): string {
  if (site.phase === "lost" || site.phase === "left" || !site.last_heard) return "off";
  if (site.phase === "done") return "still";
  return Date.now() - new Date(site.last_heard).getTime() < QUIET_S * 1000 ? "on" : "late";
}

function Amounts({ run }: { run: RunRecord }) {
  const say = useWords("run");
  const format = useFormat();
  const sum = (values: (number | null)[]) => values.reduce((all: number, one) => all + (one ?? 0), 0);
  const spent = run.sites.map((site) => site.epsilon_spent).filter((one): one is number => Boolean(one));
  const last = run.loss.at(-1)?.[1];
  const first = run.loss[0]?.[1];
  return (
    <Tiles>
      <Tile
        name={say("loss")}
        value={format.number(last, 3)}
        note={first !== undefined && last !== undefined ? say("from", { value: format.number(first, 3) }) : undefined}
      />
      <Tile
        name={say("epsilonMost")}
        value={spent.length ? format.number(Math.max(...spent), 2) : say("noNoise")}
        note={say("epsilonNote")}
      />
      <Tile
        name={say("moved")}
        value={format.bytes(sum(run.sites.map((site) => (site.bytes_up ?? 0) + (site.bytes_down ?? 0))))}
        note={say("movedNote")}
      />
    </Tiles>
  );
}

function Losses({ run }: { run: RunRecord }) {
  const say = useWords("run");
  const title = useTitles();
  const curves = useMemo<Curve[]>(
    () => [
      { name: say("mean"), points: run.loss, strong: true },
      ...run.sites
        .filter((site) => site.loss.length)
        .map((site) => ({ name: title(site.title) || shortName(site.participant), points: site.loss })),
    ],
    [run, say, title],
  );
  if (!run.loss.length)
    return (
      <Empty title={say("noCurves")} icon="run">
        {say("noCurvesNext")}
      </Empty>
    );
  return <Curves curves={curves} label={say("curves")} xTitle={say("round")} yTitle={say("lossAxis")} />;
}

const SHOWN = 100;

function Log({ log, run }: { log: StudyEvent[]; run: RunRecord }) {
  const say = useWords("run");
  const title = useTitles();
  // The same map as long as the same hospitals take part: lines that stand are not drawn again.
  const named = run.sites.map((site) => `${site.participant}\n${title(site.title)}`).join("\n\n");
  const names = useMemo(() => new Map(named.split("\n\n").map((one) => one.split("\n") as [string, string])), [named]);
  const words = useEventWords(names);
  const [all, setAll] = useState(false);
  const newest = [...log].reverse();
  const shown = all ? newest : newest.slice(0, SHOWN);
  if (!log.length) return <Empty title={say("noLog")} icon="wait" />;
  return (
    <>
      <div className="toolbar">
        <p className="hint">{say("logKept")}</p>
        <Button small icon="download" onClick={() => saveFile("study-log.json", JSON.stringify(log, null, 2), "application/json")}>
          {say("saveLog")}
        </Button>
      </div>
      <ol className="log">
        {shown.map((event) => (
          <LogLine key={event.id} event={event} words={words} />
        ))}
      </ol>
      {!all && log.length > SHOWN && (
        <Button small onClick={() => setAll(true)}>
          {say("allLog", { count: log.length })}
        </Button>
      )}
    </>
  );
}

/** Drawn once: an event does not change. */
const LogLine = memo(
  function LogLine({ event, words }: { event: StudyEvent; words: (event: StudyEvent) => string }) {
    const say = useWords("run");
    const format = useFormat();
    const [isOpen, setOpen] = useState(false);
    return (
      <li data-event={event.id}>
        <time dateTime={event.time} title={format.time(event.time)}>
          {format.clock(event.time)}
        </time>
        <span className="log-text">{words(event)}</span>
        <details onToggle={(toggled) => setOpen(toggled.currentTarget.open)}>
          <summary>{say("raw")}</summary>
          {isOpen && <Code label={say("raw")}>{JSON.stringify({ kind: event.kind, ...event.facts }, null, 2)}</Code>}
        </details>
      </li>
    );
  },
  (before, after) => before.event.id === after.event.id && before.words === after.words,
);

const PLANNED = ["question", "purpose", "recipe", "rule", "rounds", "quorum", "deadline_s", "seed", "subgroups", "settings", "rule_settings", "privacy", "secure"] as const;

function Plan({ study }: { study?: Study }) {
  const say = useWords("run");
  const format = useFormat();
  const title = useTitles();
  if (!study) return <Loading />;
  const { plan, agreements } = study;
  const text = (value: unknown): string => {
    if (Array.isArray(value)) return value.join(say("comma"));
    if (value !== null && typeof value === "object")
      return Object.entries(value).map(([name, one]) => `${name} = ${String(one)}`).join(say("comma"));
    return typeof value === "number" ? format.number(value) : title(String(value ?? ""));
  };
  const items: [string, ReactNode][] = PLANNED.flatMap((name) => {
    const written = name === "seed" ? String(plan.seed) : text(plan[name]);
    return written ? [[say(`fact.${name}`), written] as [string, ReactNode]] : [];
  });
  if (plan.signed)
    items.push(
      [say("fact.signed"), format.time(plan.signed.created)],
      [say("fact.expires"), format.time(plan.signed.expires)],
      [say("fact.digest"), <Identifier key="digest" value={plan.signed.digest} />],
    );
  return (
    <Card>
      {!plan.signed && <Notice kind="wait" title={say("noPlan")}>{say("noPlanNext")}</Notice>}
      <Facts items={items} />
      {agreements.length > 0 && (
        <div className="card-end">
          <h3>{say("agreements")}</h3>
          <div className="plain-list">
            {agreements.map((one) => (
              <ButtonLink small key={one.id} icon="contract" to={`/contracts/${part(one.id)}`}>
                {title(one.provider_title)}
              </ButtonLink>
            ))}
          </div>
        </div>
      )}
    </Card>
  );
}
