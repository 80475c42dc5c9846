/** What happened here, provable: searched, verified as a whole, made into an export for an auditor. */

import { useState } from "react";
import { address, api, newKey } from "../api/client";
import { usePages, useSend } from "../api/hooks";
import { useMay } from "../api/session";
import type { EvidenceRow, Verified } from "../api/reading";
import { Button, ButtonLink, Card, Dialog, Empty, Facts, Loading, Notice, Page, Problem, ReasonDialog, Table, TextField, type Column } from "../parts";
import { Code } from "../parts/Code";
import { useWords } from "../words";
import { useFormat, useSentence } from "../words/format";
import { Choice } from "./Catalogue";
import { Identifier, shortName } from "./common";

const GROUPS = ["agreement", "negotiation", "transfer", "admission", "lease", "release", "study", "statistics", "dataset", "offer", "passport", "model", "person", "role", "session", "queue", "approval", "export", "participant", "witness"];

type Filter = { kind: string; subject: string; since: string; until: string };
type Made = { digest: string; entries?: number; bytes?: number };

export default function Evidence() {
  const say = useWords("evidence");
  const may = useMay();
  const [filter, setFilter] = useState<Filter>({ kind: "", subject: "", since: "", until: "" });
  const set = (next: Partial<Filter>) => setFilter({ ...filter, ...next });
  const [opened, setOpened] = useState<EvidenceRow | null>(null);
  const found = usePages<EvidenceRow>(
    "/evidence",
    {
      kind: filter.kind,
      subject: filter.subject,
      since: filter.since && `${filter.since}T00:00:00Z`,
      until: filter.until && `${filter.until}T23:59:59Z`,
      limit: 100,
    },
    { keep: true },
  );
  const columns = useColumns(setOpened);
  const isFiltered = Object.values(filter).some(Boolean);
  return (
    <Page title={say("title")} subtitle={say("subtitle")} actions={may("evidence.export") && <Export subject={filter.subject} />} wide>
      <Proof />
      {found.isPending ? (
        <Loading />
      ) : found.error && !found.items.length ? (
        <Problem error={found.error} retry={() => void found.refetch()} />
      ) : (
        <Table
          name={say("title")}
          columns={columns}
          rows={found.items}
          rowKey={(one) => String(one.seq)}
          more={found.more}
          isFetchingMore={found.isFetchingMore}
          tools={
            <>
              <Choice label={say("kind")} value={filter.kind} onValue={(kind) => set({ kind })} options={[["", say("anyKind")], ...GROUPS.map((one) => [one, say(`groups.${one}`)] as [string, string])]} />
              <Filled label={say("subject")} value={filter.subject} onValue={(subject) => set({ subject })} />
              <Filled label={say("since")} type="date" value={filter.since} onValue={(since) => set({ since })} />
              <Filled label={say("until")} type="date" value={filter.until} onValue={(until) => set({ until })} />
            </>
          }
          empty={
            <Empty title={say(isFiltered ? "nothing" : "empty")} icon="evidence">
              {say(isFiltered ? "nothingNext" : "emptyNext")}
            </Empty>
          }
        />
      )}
      {opened && <Opened entry={opened} onClose={() => setOpened(null)} />}
    </Page>
  );
}

function Filled({ label, value, onValue, type = "search" }: { label: string; value: string; onValue: (value: string) => void; type?: string }) {
  return (
    <label className={`tool-field tool-${type}`}>
      <span className={type === "date" ? "hint" : "visually-hidden"}>{label}</span>
      <input type={type} placeholder={label} value={value} onChange={(event) => onValue(event.target.value)} />
    </label>
  );
}

function useKind(): (kind: string) => string {
  const say = useWords("evidence");
  return (kind) => say(`kinds.${kind}`, { defaultValue: kind });
}

function useColumns(open: (entry: EvidenceRow) => void): Column<EvidenceRow>[] {
  const say = useWords("evidence");
  const format = useFormat();
  const kind = useKind();
  return [
    { id: "seq", title: say("seq"), tight: true, align: "right", value: (one) => one.seq, cell: (one) => one.seq },
    { id: "time", title: say("time"), tight: true, value: (one) => one.time, cell: (one) => format.time(one.time) },
    {
      id: "kind",
      title: say("what"),
      value: (one) => one.kind,
      cell: (one) => (
        <button type="button" className="link-button" onClick={() => open(one)}>
          {kind(one.kind)}
        </button>
      ),
    },
    { id: "code", title: say("code"), tight: true, value: (one) => one.kind, cell: (one) => <code>{one.kind}</code> },
    { id: "subject", title: say("subject"), tight: true, value: (one) => one.subject, cell: (one) => <Identifier value={one.subject} length={18} /> },
    { id: "digest", title: say("digest"), tight: true, value: (one) => one.digest, cell: (one) => <Identifier value={one.digest} length={10} /> },
  ];
}

function Opened({ entry, onClose }: { entry: EvidenceRow; onClose: () => void }) {
  const say = useWords("evidence");
  const format = useFormat();
  const kind = useKind();
  return (
    <Dialog open wide title={say("entry", { seq: entry.seq, kind: kind(entry.kind) })} onClose={onClose}>
      <Facts
        items={[
          [say("time"), format.time(entry.time)],
          [say("code"), <code key="kind">{entry.kind}</code>],
          [say("subject"), <Identifier key="subject" value={entry.subject} length={40} />],
          [say("digest"), <Identifier key="digest" value={entry.digest} length={24} />],
        ]}
      />
      <Code tall label={say("facts")}>{JSON.stringify(entry.facts, null, 2)}</Code>
    </Dialog>
  );
}

/** Is the whole log as it was written, and who else can say so. */
function Proof() {
  const say = useWords("evidence");
  const format = useFormat();
  const sentence = useSentence();
  const verify = useSend(() => api.post<Verified>("/evidence/verify"));
  const proof = verify.data;
  return (
    <Card
      title={say("proof")}
      hint={say("proofHint")}
      actions={
        <Button kind="primary" icon="evidence" busy={verify.isPending} onClick={() => verify.mutate(undefined)}>
          {say("verify")}
        </Button>
      }
    >
      {verify.error && <Problem error={verify.error} />}
      {proof && (
        <div className="stack">
          {proof.verified ? (
            <Notice kind="good" title={say("whole", { count: proof.entries })} />
          ) : (
            <Notice kind="bad" title={say("broken")}>
              {sentence(proof.error)} {say("brokenNext")}
            </Notice>
          )}
          <Facts
            items={[
              [say("entries"), format.number(proof.entries)],
              [say("root"), proof.checkpoint ? <Identifier key="root" value={proof.checkpoint.root} length={24} /> : "–"],
              [
                say("witnesses"),
                proof.witnesses.length ? (
                  <ul key="witnesses">
                    {proof.witnesses.map((one) => (
                      <li key={one.participant}>{say("witness", { name: shortName(one.participant), size: format.number(one.size), time: format.ago(one.time) })}</li>
                    ))}
                  </ul>
                ) : (
                  say("noWitness")
                ),
              ],
            ]}
          />
        </div>
      )}
    </Card>
  );
}

/** One file by which an auditor proves entries offline; it leaves when two persons said yes. */
function Export({ subject }: { subject: string }) {
  const say = useWords("evidence");
  const format = useFormat();
  const mayAsk = useMay()("release.request");
  const [open, setOpen] = useState(false);
  const [asking, setAsking] = useState(false);
  const [wish, setWish] = useState({ subject: "", first: "", last: "" });
  const make = useSend((given: typeof wish) =>
    api.post<Made>("/evidence/exports", given.subject ? { subject: given.subject } : { first: Number(given.first) || 1, ...(given.last ? { last: Number(given.last) } : {}) }, { key: newKey() }),
  );
  const ask = useSend((reason: string) => api.post("/approvals", { kind: "evidence", digest: make.data?.digest, reason }, { key: newKey() }), {
    refresh: ["/approvals", "/home"],
    done: () => setAsking(false),
  });
  const begin = () => {
    setWish({ subject, first: "", last: "" });
    make.reset();
    ask.reset();
    setOpen(true);
  };
  return (
    <>
      <Button icon="download" onClick={begin}>
        {say("export")}
      </Button>
      <Dialog
        open={open && !asking}
        title={say("export")}
        onClose={() => setOpen(false)}
        onSubmit={() => make.mutate(wish)}
        actions={
          make.data ? (
            <Button onClick={() => setOpen(false)}>{say("close")}</Button>
          ) : (
            <Button type="submit" kind="primary" busy={make.isPending}>
              {say("make")}
            </Button>
          )
        }
      >
        <p>{say("exportMeans")}</p>
        {!make.data && (
          <>
            <TextField label={say("exportSubject")} help={say("exportSubjectHelp")} value={wish.subject} onValue={(value) => setWish({ ...wish, subject: value })} optional />
            {!wish.subject && (
              <div className="form-row">
                <TextField label={say("first")} inputMode="numeric" placeholder="1" value={wish.first} onValue={(first) => setWish({ ...wish, first })} />
                <TextField label={say("last")} inputMode="numeric" placeholder={say("newest")} value={wish.last} onValue={(last) => setWish({ ...wish, last })} />
              </div>
            )}
          </>
        )}
        {make.error && <Problem error={make.error} />}
        {make.data && (
          <>
            <Notice kind="good" title={say("made", { bytes: format.bytes(make.data.bytes) })}>
              <Identifier value={make.data.digest} length={32} />
            </Notice>
            {ask.data ? (
              <Notice kind="wait" title={say("asked")} actions={<ButtonLink small to="/approvals">{say("toApprovals")}</ButtonLink>} />
            ) : (
              <div className="row">
                {mayAsk && (
                  <Button icon="approve" onClick={() => setAsking(true)}>
                    {say("ask")}
                  </Button>
                )}
                <a className="button button-plain" href={address(`/evidence/exports/${make.data.digest}`)} download="evidence.zip">
                  {say("fetch")}
                </a>
              </div>
            )}
            <p className="hint">{say("fetchHint")}</p>
          </>
        )}
      </Dialog>
      <ReasonDialog open={asking} title={say("ask")} verb={say("ask")} busy={ask.isPending} error={ask.error} onClose={() => setAsking(false)} onReason={(reason) => ask.mutate(reason)} />
    </>
  );
}
