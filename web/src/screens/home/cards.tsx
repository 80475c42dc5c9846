/** The cards of the first page. */

import { useSession } from "../../api/session";
import type { Alert, Health, QueueItem, Release, StudyRow } from "../../api/types";
import { ButtonLink } from "../../parts/Button";
import { Empty } from "../../parts/Empty";
import { Card } from "../../parts/Page";
import { Notice, State, type StateKind } from "../../parts/State";
import { Link } from "react-router";
import { StudyState } from "../../shell/StudyState";
import { useLanguage, useWords } from "../../words";
import { useFormat, useSentence } from "../../words/format";
import { useTitles } from "../../words/titles";

export function Alerts({ alerts }: { alerts: Alert[] }) {
  const say = useWords("home");
  const sentence = useSentence();
  return (
    <>
      {alerts.map((one) => (
        <Notice
          key={one.code + one.href}
          kind="warn"
          actions={
            one.href && (
              <ButtonLink small to={one.href}>
                {say("look")}
              </ButtonLink>
            )
          }
        >
          {sentence(one)}
        </Notice>
      ))}
    </>
  );
}

export function WaitingCard({ items, releases }: { items: QueueItem[]; releases: Release[] }) {
  const say = useWords("home");
  const open = releases.filter((one) => one.state === "open");
  if (items.length + open.length === 0)
    return (
      <Card title={say("waiting.title")}>
        <Empty title={say("waiting.none")} icon="check">
          {say("waiting.noneText")}
        </Empty>
      </Card>
    );
  return (
    <Card title={say("waiting.title")} hint={say("waiting.hint")}>
      <ul className="waits">
        {items.map((one) => (
          <WaitingItem key={one.id} item={one} />
        ))}
        {open.map((one) => (
          <WaitingRelease key={one.id} release={one} />
        ))}
      </ul>
    </Card>
  );
}

function WaitingItem({ item }: { item: QueueItem }) {
  const say = useWords("home");
  const kinds = useWords("queue");
  const language = useLanguage();
  const format = useFormat();
  const title = language === "zh" ? item.title_zh || item.title : item.title || item.title_zh;
  return (
    <li>
      <Link to={`/queue/${encodeURIComponent(item.id)}`}>
        <strong>{title || kinds(`kind.${item.kind}`, { defaultValue: item.kind })}</strong>
        <span className="quiet">{say("waiting.asked", { when: format.ago(item.asked) })}</span>
      </Link>
      {item.overdue ? (
        <State kind="warn">{say("waiting.overdue")}</State>
      ) : (
        <span className="quiet">{say("waiting.due", { when: format.ago(item.due) })}</span>
      )}
    </li>
  );
}

function WaitingRelease({ release }: { release: Release }) {
  const say = useWords("home");
  const { person } = useSession();
  const title = useTitles();
  const hasSaid = release.approved.includes(person.id);
  return (
    <li>
      <Link to="/approvals">
        <strong>{say(`release.${release.kind}`)}</strong>
        <span className="quiet">{title(release.reason)}</span>
      </Link>
      <State kind={hasSaid ? "wait" : "info"}>
        {say("release.voices", { have: release.approved.length, needed: release.needed })}
      </State>
    </li>
  );
}

export function StudiesCard({ studies }: { studies: StudyRow[] }) {
  const say = useWords("home");
  const title = useTitles();
  const format = useFormat();
  return (
    <Card
      title={say("studies.title")}
      actions={
        studies.length > 0 && (
          <ButtonLink small kind="quiet" to="/studies">
            {say("studies.all")}
          </ButtonLink>
        )
      }
    >
      {studies.length === 0 ? (
        <Empty title={say("studies.none")} icon="study">
          {say("studies.noneText")}
        </Empty>
      ) : (
        <ul className="waits">
          {studies.map((one) => (
            <li key={one.id}>
              <Link to={`/studies/${encodeURIComponent(one.id)}`}>
                <strong>{title(one.title)}</strong>
                <span className="quiet">
                  {one.sites !== undefined && say("studies.sites", { count: one.sites })}{" "}
                  {format.ago(one.updated)}
                </span>
              </Link>
              <StudyState state={one.state} />
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

const SCARCE = 0.1;

export function HealthCard({ health }: { health: Health }) {
  const say = useWords("home");
  const format = useFormat();
  const free = health.disk_total_bytes ? health.disk_free_bytes / health.disk_total_bytes : 1;
  const lines: [string, StateKind, string][] = [
    ["link", health.online ? "good" : "bad", say(health.online ? "health.online" : "health.offline")],
    [
      "engine",
      health.engine_running ? "good" : "bad",
      say(health.engine_running ? "health.running" : "health.stopped"),
    ],
    [
      "disk",
      free < SCARCE ? "warn" : "good",
      say("health.free", { free: format.bytes(health.disk_free_bytes) }),
    ],
  ];
  return (
    <Card title={say("health.title")}>
      <dl className="health">
        {lines.map(([name, kind, text]) => (
          <div key={name}>
            <dt>{say(`health.${name}`)}</dt>
            <dd>
              <State kind={kind}>{text}</State>
            </dd>
          </div>
        ))}
        <div>
          <dt>{say("health.evidence")}</dt>
          <dd>{say("health.entries", { count: health.evidence, shown: format.number(health.evidence) })}</dd>
        </div>
      </dl>
    </Card>
  );
}
