/** What the hospitals offer: found by words and kind, read in plain sentences, asked for by one click. */

import { useEffect, useRef, useState, type UIEvent } from "react";
import { useNavigate, useSearchParams } from "react-router";
import { api, newKey, part, type Paged } from "../api/client";
import { usePages, useSend } from "../api/hooks";
import { useMay } from "../api/session";
import type { Listing, Unreachable } from "../api/reading";
import { Button, Dialog, Empty, Facts, Icon, Loading, Notice, Page, Problem, State, Table, Tag, type Column } from "../parts";
import { useWords } from "../words";
import { useSentence } from "../words/format";
import { useTitles } from "./common";

const MODALITIES = ["table", "image", "signal"];
const PAGE = 200;
const NEAR_PX = 4500;
const WAIT_MS = 60;

type Extra = { unreachable: Unreachable[]; total?: number };

export default function Catalogue() {
  const say = useWords("catalogue");
  const [params, setParams] = useSearchParams();
  const search = params.get("search") ?? "";
  const modality = params.get("modality") ?? "";
  const [access, setAccess] = useState("");
  const [opened, setOpened] = useState<Listing | null>(null);
  const query = { search, modality, limit: PAGE };
  const found = usePages<Listing, Extra>("/catalog", query, { keep: true });
  const columns = useColumns(setOpened);
  const rows = access ? found.items.filter((one) => (access === "mine" ? one.mine : one.access === access)) : found.items;
  const set = (name: string, value: string) =>
    setParams(
      (before) => {
        const after = new URLSearchParams(before);
        if (value) after.set(name, value);
        else after.delete(name);
        return after;
      },
      { replace: true },
    );
  const scrolled = (event: UIEvent<HTMLDivElement>) => {
    const box = event.target as HTMLElement;
    if (box.scrollTop + box.clientHeight > box.scrollHeight - NEAR_PX && !found.isFetchingMore) found.more?.();
  };
  const silent = found.first?.unreachable ?? [];
  return (
    <Page title={say("title")} subtitle={say("subtitle")} wide>
      {silent.length > 0 && <Silent silent={silent} again={() => void found.refetch()} />}
      {found.isPending ? (
        <Loading />
      ) : found.error && !found.items.length ? (
        <Problem error={found.error} retry={() => void found.refetch()} />
      ) : (
        <div onScrollCapture={scrolled} className="catalogue">
          <Table
            name={say("title")}
            columns={columns}
            rows={rows}
            rowKey={(one) => `${one.participant} ${one.dataset}`}
            more={found.more}
            isFetchingMore={found.isFetchingMore}
            all={() => everything(query)}
            tools={
              <>
                <SearchField value={search} onValue={(word) => set("search", word)} />
                <Choice
                  label={say("modality")}
                  value={modality}
                  onValue={(value) => set("modality", value)}
                  options={[["", say("anyModality")], ...MODALITIES.map((one) => [one, say(`kind.${one}`)] as [string, string])]}
                />
                <Choice
                  label={say("access")}
                  value={access}
                  onValue={setAccess}
                  options={[["", say("anyAccess")], ...["public", "restricted", "mine"].map((one) => [one, say(`is.${one}`)] as [string, string])]}
                />
                {found.first?.total !== undefined && <span className="hint">{say("total", { count: found.first.total })}</span>}
              </>
            }
            empty={
              search || modality || access ? (
                <Empty title={say("nothing")} icon="search">
                  {say("nothingNext")}
                </Empty>
              ) : (
                <Empty title={say("empty")} icon="catalogue">
                  {say("emptyNext")}
                </Empty>
              )
            }
          />
        </div>
      )}
      {opened && <Opened listing={opened} onClose={() => setOpened(null)} />}
    </Page>
  );
}

async function everything(query: Record<string, string | number>): Promise<Listing[]> {
  const all: Listing[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const page: Paged<Listing> = await api.get<Paged<Listing>>("/catalog", { ...query, cursor });
    all.push(...page.items);
    cursor = page.next;
  }
  return all;
}

/** Asks the node when typing has paused. */
function SearchField({ value, onValue }: { value: string; onValue: (word: string) => void }) {
  const say = useWords("catalogue");
  const [word, setWord] = useState(value);
  const latest = useRef(onValue);
  useEffect(() => {
    latest.current = onValue;
  });
  useEffect(() => {
    if (word === value) return;
    const timer = setTimeout(() => latest.current(word), WAIT_MS);
    return () => clearTimeout(timer);
  }, [word, value]);
  return (
    <label className="table-filter">
      <Icon name="search" size={16} />
      <span className="visually-hidden">{say("search")}</span>
      <input type="search" placeholder={say("search")} value={word} onChange={(event) => setWord(event.target.value)} />
    </label>
  );
}

export function Choice({
  label,
  value,
  onValue,
  options,
}: {
  label: string;
  value: string;
  onValue: (value: string) => void;
  options: [value: string, title: string][];
}) {
  return (
    <label className="tool-select">
      <span className="visually-hidden">{label}</span>
      <select value={value} onChange={(event) => onValue(event.target.value)}>
        {options.map(([one, title]) => (
          <option key={one} value={one}>
            {title}
          </option>
        ))}
      </select>
    </label>
  );
}

function useColumns(open: (listing: Listing) => void): Column<Listing>[] {
  const say = useWords("catalogue");
  const title = useTitles();
  return [
    {
      id: "description",
      title: say("dataset"),
      value: (one) => title(one.description),
      cell: (one) => (
        <button type="button" className="link-button" onClick={() => open(one)}>
          {title(one.description) || one.name}
        </button>
      ),
    },
    { id: "name", title: say("name"), value: (one) => one.name, cell: (one) => <code>{one.name}</code> },
    {
      id: "hospital",
      title: say("hospital"),
      value: (one) => title(one.title),
      cell: (one) => (one.mine ? say("ours", { title: title(one.title) }) : title(one.title)),
    },
    { id: "modality", title: say("modality"), tight: true, value: (one) => say(`kind.${one.modality}`, { defaultValue: one.modality }), cell: (one) => say(`kind.${one.modality}`, { defaultValue: one.modality }) },
    { id: "rows", title: say("rows"), tight: true, align: "right", value: (one) => one.rows_band, cell: (one) => one.rows_band || say("hidden") },
    { id: "access", title: say("access"), tight: true, value: (one) => say(`is.${one.access}`), cell: (one) => <AccessState access={one.access} /> },
    { id: "labels", title: say("labels"), value: (one) => one.labels.join(" "), cell: (one) => <span className="clip clip-short" title={one.labels.join(say("comma"))}>{one.labels.join(say("comma"))}</span> },
  ];
}

export function AccessState({ access }: { access: Listing["access"] }) {
  const say = useWords("catalogue");
  const kind = access === "public" ? "good" : access === "restricted" ? "info" : "off";
  return <State kind={kind}>{say(`is.${access}`)}</State>;
}

function Silent({ silent, again }: { silent: Unreachable[]; again: () => void }) {
  const say = useWords("catalogue");
  const sentence = useSentence();
  const title = useTitles();
  return (
    <Notice
      kind="warn"
      title={say("silent", { count: silent.length })}
      actions={
        <Button small icon="refresh" onClick={again}>
          {say("again")}
        </Button>
      }
    >
      {silent.map((one) => (
        <p key={one.participant}>
          <strong>{title(one.title)}</strong> {sentence(one.error)}
        </p>
      ))}
    </Notice>
  );
}

/** One dataset, its terms in sentences, and the way to an agreement. */
function Opened({ listing, onClose }: { listing: Listing; onClose: () => void }) {
  const say = useWords("catalogue");
  const sentence = useSentence();
  const title = useTitles();
  const navigate = useNavigate();
  const may = useMay()("agreement.request");
  const [key] = useState(newKey);
  const ask = useSend(
    () => api.post<{ id: string }>("/agreements", { participant: listing.participant, dataset: listing.name, offer: listing.offers[0]?.id ?? "" }, { key }),
    { refresh: ["/agreements"], done: ({ id }) => void navigate(`/contracts/${part(id)}`) },
  );
  const words = listing.offers[0]?.words ?? [];
  return (
    <Dialog
      open
      wide
      title={title(listing.description) || listing.name}
      onClose={onClose}
      actions={
        <>
          {listing.mine && (
            <Button icon="data" onClick={() => void navigate(`/datasets/${part(listing.name)}`)}>
              {say("toDataset")}
            </Button>
          )}
          <Button onClick={onClose}>{say("close")}</Button>
          <Button kind="primary" icon="contract" busy={ask.isPending} disabled={!may || !words.length} onClick={() => ask.mutate(undefined)}>
            {say("ask")}
          </Button>
        </>
      }
    >
      <Facts
        items={[
          [say("hospital"), title(listing.title)],
          [say("rows"), listing.rows_band || say("hidden")],
          [say("labels"), listing.labels.join(say("comma"))],
          [say("access"), <AccessState key="access" access={listing.access} />],
        ]}
      />
      <div>
        <h3>{say("fields", { count: listing.fields.length })}</h3>
        <div className="tags">
          {listing.fields.map((field) => (
            <Tag key={field.name}>
              {field.name}
              {field.unit && ` · ${field.unit}`}
            </Tag>
          ))}
        </div>
      </div>
      <div>
        <h3>{say("terms")}</h3>
        <ul className="sentences">
          {words.map((one) => (
            <li key={one.en}>{sentence(one)}</li>
          ))}
        </ul>
      </div>
      <p className="hint">{may ? say("askMeans") : say("mayNot")}</p>
      {ask.isPending && <Notice kind="busy" title={say("asking", { name: title(listing.title) })} />}
      {ask.error && <Problem error={ask.error} />}
    </Dialog>
  );
}
