/** Who is in the space and since when not; and this node examined hop by hop, the fault named first. */

import { api, type Paged } from "../api/client";
import { useGet, useSend } from "../api/hooks";
import { itemsOf, type Finding, type NodeRow } from "../api/reading";
import { Await, Button, Card, Empty, Icon, Notice, Page, Problem, State, Table, type Column } from "../parts";
import type { StateKind } from "../parts";
import { useWords } from "../words";
import { useFormat, useSentence } from "../words/format";
import { Identifier, shortName, useTitles } from "./common";

const EVERY_MS = 15_000;
/** A certificate lives a week and is renewed when a third of it is left: less means that renewing fails. */
const SOON_MS = 2 * 86_400_000;

export default function Nodes() {
  const say = useWords("nodes");
  const nodes = useGet<Paged<NodeRow> | NodeRow[]>("/nodes", {}, { every: EVERY_MS });
  return (
    <Page title={say("title")} subtitle={say("subtitle")} wide>
      <Doctor />
      <Await of={nodes}>{(found) => <Members rows={itemsOf(found)} />}</Await>
    </Page>
  );
}

function Members({ rows }: { rows: NodeRow[] }) {
  const say = useWords("nodes");
  const format = useFormat();
  const title = useTitles();
  const away = rows.filter((one) => one.admitted && one.online === false);
  const standing = (one: NodeRow): [StateKind, string] => {
    if (!one.admitted) return ["off", say("state.revoked")];
    if (one.online === null) return ["wait", say("state.unknown")];
    return one.online ? ["good", say("state.online")] : ["bad", say("state.away")];
  };
  const ends = (one: NodeRow) => {
    const at = one.certificate_until ? new Date(one.certificate_until).getTime() : Infinity;
    if (at < Date.now()) return <State kind="bad">{say("ended", { date: format.date(one.certificate_until) })}</State>;
    if (at - Date.now() < SOON_MS) return <State kind="warn">{format.date(one.certificate_until)}</State>;
    return format.date(one.certificate_until);
  };
  const columns: Column<NodeRow>[] = [
    {
      id: "title",
      title: say("hospital"),
      value: (one) => title(one.title),
      cell: (one) => (
        <>
          <strong>{title(one.title)}</strong> {one.mine && <span className="hint">{say("mine")}</span>}
        </>
      ),
    },
    { id: "name", title: say("name"), tight: true, value: (one) => one.participant, cell: (one) => <code title={one.participant}>{shortName(one.participant)}</code> },
    { id: "state", title: say("stateTitle"), tight: true, value: (one) => standing(one)[1], cell: (one) => <State kind={standing(one)[0]}>{standing(one)[1]}</State> },
    { id: "seen", title: say("seen"), tight: true, value: (one) => one.last_seen, cell: (one) => <span title={format.time(one.last_seen)}>{one.last_seen ? format.ago(one.last_seen) : say("never")}</span> },
    { id: "place", title: say("place"), tight: true, value: (one) => one.location, cell: (one) => one.location || "–" },
    { id: "version", title: say("version"), tight: true, value: (one) => one.versions?.consilium, cell: (one) => one.versions?.consilium ?? "–" },
    { id: "certificate", title: say("certificate"), tight: true, value: (one) => one.certificate_until, cell: ends },
    { id: "key", title: say("key"), tight: true, value: (one) => one.fingerprint, cell: (one) => <Identifier value={one.fingerprint ?? ""} length={10} /> },
  ];
  return (
    <>
      {away.length > 0 && (
        <Notice kind="warn" title={say("away", { count: away.length, names: away.map((one) => title(one.title)).join(say("comma")) })}>
          {say("awayNext")}
        </Notice>
      )}
      <Table
        name={say("members")}
        columns={columns}
        rows={rows}
        rowKey={(one) => one.participant}
        filter
        empty={
          <Empty title={say("empty")} icon="node">
            {say("emptyNext")}
          </Empty>
        }
      />
    </>
  );
}

const KIND: Record<string, StateKind> = { ok: "good", warning: "warn", failed: "bad", skipped: "off" };
const kindOf = (one: Finding): StateKind => KIND[one.state] ?? (one.ok ? "good" : "bad");

/** The first hop that is not in order is the one to look at. */
function Doctor() {
  const say = useWords("nodes");
  const sentence = useSentence();
  const look = useSend(() => api.post<Finding[] | Paged<Finding>>("/nodes/doctor"));
  const found = itemsOf(look.data);
  const first = found.find((one) => kindOf(one) === "bad");
  return (
    <Card
      title={say("doctor")}
      hint={say("doctorHint")}
      actions={
        <Button kind="primary" icon="search" busy={look.isPending} onClick={() => look.mutate(undefined)}>
          {say(look.data ? "lookAgain" : "look")}
        </Button>
      }
    >
      {look.error && <Problem error={look.error} />}
      {look.data && (
        <>
          {first ? (
            <Notice kind="bad" title={say("faultAt", { hop: say(`hop.${first.hop}`, { defaultValue: first.hop }) })}>
              {sentence(first)}
            </Notice>
          ) : (
            <Notice kind="good" title={say("sound")} />
          )}
          <ol className="hops">
            {found.map((one) => (
              <li key={one.hop} className={`hops-${kindOf(one)}`}>
                <Icon name={kindOf(one)} size={18} />
                <strong>{say(`hop.${one.hop}`, { defaultValue: one.hop })}</strong>
                <span className="visually-hidden">{say(`found.${kindOf(one)}`)}</span>
                <span>{sentence(one)}</span>
              </li>
            ))}
          </ol>
        </>
      )}
    </Card>
  );
}
