/** Browsers that are signed in: one's own, or for administrators everybody's. */

import { api, part } from "../../api/client";
import { usePages, useSend } from "../../api/hooks";
import { useSession } from "../../api/session";
import type { OpenSession } from "../../api/types";
import { Button } from "../../parts/Button";
import { Loading, Problem } from "../../parts/Problem";
import { State } from "../../parts/State";
import { Table, type Column } from "../../parts/Table";
import { useToast } from "../../parts/Toast";
import { useWords } from "../../words";
import { useFormat } from "../../words/format";

export function SessionsTable({ everybody }: { everybody?: boolean }) {
  const say = useWords("sessions");
  const toast = useToast();
  const format = useFormat();
  const { person } = useSession();
  const list = usePages<OpenSession>("/sessions");
  const end = useSend((id: string) => api.delete(`/sessions/${part(id)}`), {
    refresh: ["/sessions"],
    done: () => toast(say("ended")),
  });
  const rows = everybody ? list.items : list.items.filter((one) => one.person === person.id);
  const columns: Column<OpenSession>[] = [
    ...(everybody
      ? [
          {
            id: "name",
            title: say("person"),
            value: (one: OpenSession) => one.name,
            cell: (one: OpenSession) => <strong>{one.name}</strong>,
          },
        ]
      : []),
    {
      id: "agent",
      title: say("browser"),
      value: (one) => browserOf(one.agent) || say("unknown"),
      cell: (one) => (
        <span className="row row-tight" title={one.agent}>
          {browserOf(one.agent) || say("unknown")}
          {one.current && <State kind="good">{say("this")}</State>}
        </span>
      ),
    },
    {
      id: "began",
      title: say("began"),
      tight: true,
      value: (one) => one.began,
      cell: (one) => format.time(one.began),
    },
    {
      id: "used",
      title: say("used"),
      tight: true,
      value: (one) => one.used,
      cell: (one) => format.ago(one.used),
    },
    {
      id: "deeds",
      title: "",
      onScreen: true,
      cell: (one) =>
        !one.current && (
          <Button
            small
            kind="quiet"
            icon="leave"
            busy={end.isPending && end.variables === one.id}
            onClick={() => end.mutate(one.id)}
          >
            {say("end")}
          </Button>
        ),
    },
  ];
  if (list.isPending) return <Loading />;
  if (list.error) return <Problem error={list.error} retry={() => void list.refetch()} />;
  return (
    <>
      {end.error && <Problem error={end.error} />}
      <Table
        name={say("title")}
        columns={columns}
        rows={rows}
        rowKey={(one) => one.id}
        sort={{ column: "used", down: true }}
        more={list.more}
        bare={!everybody}
        filter={everybody}
      />
    </>
  );
}

// The order matters: most browsers also call themselves Chrome and Safari.
const BROWSERS: [RegExp, string][] = [
  [/Edg\/(\d+)/, "Edge"],
  [/MicroMessenger\/(\d+)/, "WeChat"],
  [/QQBrowser\/(\d+)/, "QQ Browser"],
  [/Firefox\/(\d+)/, "Firefox"],
  [/Chrome\/(\d+)/, "Chrome"],
  [/Version\/(\d+).*Safari/, "Safari"],
];
const SYSTEMS: [RegExp, string][] = [
  [/Windows/, "Windows"],
  [/Android/, "Android"],
  [/iPhone|iPad/, "iOS"],
  [/Mac OS X/, "macOS"],
  [/Linux/, "Linux"],
];

/** What a browser calls itself, in the words that people use. */
export function browserOf(agent: string): string {
  const browser = BROWSERS.find(([pattern]) => pattern.test(agent));
  const version = browser?.[0].exec(agent)?.[1];
  const system = SYSTEMS.find(([pattern]) => pattern.test(agent))?.[1];
  return [browser && `${browser[1]} ${version}`, system].filter(Boolean).join(" · ");
}
