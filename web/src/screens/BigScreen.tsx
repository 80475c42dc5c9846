/** The space on the wall: members, studies, models, contributions, proof. Real figures or none. */

import { useEffect, useState, type ReactNode } from "react";
import { Link } from "react-router";
import { useGet } from "../api/hooks";
import type { Overview } from "../api/reading";
import { useSession } from "../api/session";
import { Icon, Loading, Problem } from "../parts";
import { StudyState } from "../shell/StudyState";
import { useLanguage, useWords } from "../words";
import { useFormat } from "../words/format";
import { LIVE_STATES, shortName, useTitles } from "./common";
import { Constellation } from "./Constellation";
import "./bigScreen.css";

const EVERY_MS = 5_000;
const MOST_STUDIES = 5;
const MOST_ROWS = 8;
const MOST_ENTRIES = 12;

export default function BigScreen() {
  const say = useWords("bigScreen");
  const title = useTitles();
  const session = useSession();
  const found = useGet<Overview>("/overview", {}, { every: EVERY_MS });
  useEffect(() => {
    document.title = say("title");
  }, [say]);
  return (
    <main className="wall" data-theme="dark">
      <header className="wall-head">
        <div>
          <h1>{say("title")}</h1>
          <p>
            {say("promise")} · {session.node.space} · {title(session.node.title)}
          </p>
        </div>
        <Clock />
        <nav className="wall-tools" aria-label={say("tools")}>
          <button type="button" onClick={() => void toggleFull()} aria-label={say("full")} title={say("full")}>
            <Icon name="screen" size={24} />
          </button>
          <Link to="/" aria-label={say("leave")} title={say("leave")}>
            <Icon name="leave" size={24} />
          </Link>
        </nav>
      </header>
      {found.data ? <Wall overview={found.data} isStale={Boolean(found.error)} /> : found.error ? <Problem error={found.error} retry={() => void found.refetch()} /> : <Loading />}
    </main>
  );
}

async function toggleFull(): Promise<void> {
  if (document.fullscreenElement) await document.exitFullscreen();
  else await document.documentElement.requestFullscreen?.();
}

function Clock() {
  const language = useLanguage();
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    const timer = setInterval(() => setNow(new Date()), 1000);
    return () => clearInterval(timer);
  }, []);
  const locale = language === "zh" ? "zh-CN" : "en-GB";
  return (
    <time className="wall-clock" dateTime={now.toISOString()}>
      <b>{now.toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit" })}</b>
      <span>{now.toLocaleDateString(locale, { dateStyle: "full" })}</span>
    </time>
  );
}

function Wall({ overview, isStale }: { overview: Overview; isStale: boolean }) {
  const say = useWords("bigScreen");
  const format = useFormat();
  const { members, studies, models, evidence, rows_band_total: rows } = overview;
  const online = members.filter((one) => one.online).length;
  const datasets = members.reduce((all, one) => all + one.datasets, 0);
  return (
    <>
      {isStale && <p className="wall-stale">{say("stale")}</p>}
      <dl className="wall-figures">
        <Figure name={say("members")} value={members.length} note={say("online", { count: online })} />
        <Figure name={say("datasets")} value={format.number(datasets)} note={rows ? say("rows", { band: rows }) : undefined} />
        <Figure name={say("running")} value={studies.running} note={say("completed", { count: studies.completed })} />
        <Figure name={say("models")} value={format.number(models)} note={say("modelsNote")} />
        <Figure name={say("evidence")} value={format.number(evidence.entries)} note={say("evidenceNote")} />
      </dl>
      <div className="wall-grid">
        <div className="wall-column">
          <Studies overview={overview} />
          <Latest overview={overview} />
        </div>
        <Panel title={say("networkTitle")} className="wall-network">
          <Constellation overview={overview} />
          <p className="wall-quiet">{say("networkHint")}</p>
        </Panel>
        <div className="wall-column">
          <Members overview={overview} />
          <Contributions overview={overview} />
        </div>
      </div>
    </>
  );
}

function Figure({ name, value, note }: { name: string; value: ReactNode; note?: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className="wall-number">{value}</dd>
      {note && <dd className="wall-note">{note}</dd>}
    </div>
  );
}

function Panel({ title, className, children }: { title: string; className: string; children: ReactNode }) {
  return (
    <section className={`wall-panel ${className}`} aria-label={title}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

function Members({ overview }: { overview: Overview }) {
  const say = useWords("bigScreen");
  const title = useTitles();
  // Who is away is told first: that is what somebody in front of the wall can do something about.
  const shown = [...overview.members]
    .sort((one, other) => Number(one.online) - Number(other.online))
    .slice(0, 2 * MOST_ROWS);
  return (
    <Panel title={say("membersTitle")} className="wall-members">
      {shown.length ? (
        <ul className={shown.length > MOST_ROWS ? "wall-two" : undefined}>
          {shown.map((one) => (
            <li key={one.participant}>
              <span className={one.online ? "wall-dot wall-on" : "wall-dot"} />
              <span className="wall-name">{title(one.title)}</span>
              <span className="wall-quiet">{one.online ? say("sets", { count: one.datasets }) : say("away")}</span>
            </li>
          ))}
        </ul>
      ) : (
        <p className="wall-quiet">{say("noMembers")}</p>
      )}
    </Panel>
  );
}

function Studies({ overview }: { overview: Overview }) {
  const say = useWords("bigScreen");
  const title = useTitles();
  const list = [...overview.studies.list]
    .sort((one, other) => Number(LIVE_STATES.has(other.state)) - Number(LIVE_STATES.has(one.state)))
    .slice(0, MOST_STUDIES);
  return (
    <Panel title={say("studiesTitle")} className="wall-studies">
      {list.length ? (
        <ul>
          {list.map((one) => (
            <li key={one.id}>
              <span className="wall-name">{title(one.title)}</span>
              <StudyState state={one.state} />
              <span className="wall-track" aria-hidden="true">
                <i style={{ width: `${one.rounds ? (100 * (one.round ?? 0)) / one.rounds : 0}%` }} />
              </span>
              <span className="wall-quiet">{say("round", { round: one.round ?? 0, rounds: one.rounds ?? "–", sites: one.sites ?? "–" })}</span>
            </li>
          ))}
        </ul>
      ) : (
        <p className="wall-quiet">{say("noStudies")}</p>
      )}
    </Panel>
  );
}

function Contributions({ overview }: { overview: Overview }) {
  const say = useWords("bigScreen");
  const title = useTitles();
  const most = Math.max(1, ...overview.contributions.map((one) => one.rounds));
  return (
    <Panel title={say("contributions")} className="wall-contributions">
      {overview.contributions.length ? (
        <ul>
          {overview.contributions.slice(0, MOST_ROWS).map((one) => (
            <li key={one.participant}>
              <span className="wall-name">{title(one.title) || shortName(one.participant)}</span>
              <span className="wall-track" aria-hidden="true">
                <i style={{ width: `${(100 * one.rounds) / most}%` }} />
              </span>
              <span className="wall-quiet">{say("given", { rounds: one.rounds, agreements: one.agreements })}</span>
            </li>
          ))}
        </ul>
      ) : (
        <p className="wall-quiet">{say("noContributions")}</p>
      )}
    </Panel>
  );
}

function Latest({ overview }: { overview: Overview }) {
  const say = useWords("bigScreen");
  const kinds = useWords("evidence");
  const format = useFormat();
  return (
    <Panel title={say("latest")} className="wall-latest">
      <ul>
        {overview.evidence.latest.slice(0, MOST_ENTRIES).map((one, index) => (
          <li key={`${one.time} ${index}`}>
            <time className="wall-quiet" dateTime={one.time}>
              {format.clock(one.time)}
            </time>
            <span className="wall-name">{kinds(`kinds.${one.kind}`, { defaultValue: one.kind })}</span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
