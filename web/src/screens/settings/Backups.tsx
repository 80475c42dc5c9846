/** Backups of this node: made while it runs, each proved by restoring it once. */

import { useEffect, useState } from "react";
import { api, part } from "../../api/client";
import { useGet, useSend } from "../../api/hooks";
import type { Task } from "../../api/reading";
import { useMay } from "../../api/session";
import type { Backup, Backups as BackupsRecord } from "../../api/types";
import { Await, Button, Card, Empty, Notice, Problem, Table, type Column } from "../../parts";
import { useWords } from "../../words";
import { useFormat, useSentence } from "../../words/format";

const EVERY_MS = 1_000;

export function Backups() {
  const say = useWords("backups");
  const may = useMay()("backup.make");
  const found = useGet<BackupsRecord>("/backups");
  const [task, setTask] = useState("");
  const make = useSend(() => api.post<Task>("/backups"), { done: (begun) => setTask(begun.id) });
  const prove = useSend((name: string) => api.post<Task>(`/backups/${part(name)}/proof`), {
    done: (begun) => setTask(begun.id),
  });
  const error = make.error ?? prove.error;
  return (
    <Card
      title={say("title")}
      hint={say("hint")}
      actions={
        may && (
          <Button icon="download" busy={make.isPending} onClick={() => make.mutate(undefined)}>
            {say("make")}
          </Button>
        )
      }
    >
      {error && <Problem error={error} />}
      {task && <Progress key={task} id={task} />}
      <Await of={found}>
        {(backups) => (
          <>
            <p className="hint">
              {say(backups.beside ? "besideHint" : "elsewhereHint")} <code>{backups.folder}</code>
            </p>
            <List items={backups.items} onProve={may ? (name) => prove.mutate(name) : undefined} />
          </>
        )}
      </Await>
    </Card>
  );
}

function List({ items, onProve }: { items: Backup[]; onProve?: (name: string) => void }) {
  const say = useWords("backups");
  const format = useFormat();
  if (!items.length) return <Empty title={say("none")}>{say(onProve ? "noneNext" : "noneElse")}</Empty>;
  const columns: Column<Backup>[] = [
    {
      id: "name",
      title: say("name"),
      value: (one) => one.name,
      cell: (one) => <code>{one.name}</code>,
    },
    { id: "made", title: say("made"), tight: true, value: (one) => one.made, cell: (one) => format.time(one.made) },
    { id: "size", title: say("size"), tight: true, value: (one) => one.size, cell: (one) => format.bytes(one.size) },
  ];
  if (onProve)
    columns.push({
      id: "prove",
      title: say("proof"),
      tight: true,
      cell: (one) => (
        <Button small onClick={() => onProve(one.name)}>
          {say("prove")}
        </Button>
      ),
    });
  return <Table name={say("title")} columns={columns} rows={items} rowKey={(one) => one.name} />;
}

/** What the node is doing with a backup, or how it ended. */
function Progress({ id }: { id: string }) {
  const say = useWords("backups");
  const sentence = useSentence();
  const task = useGet<Task>(`/tasks/${part(id)}`, {}, { every: EVERY_MS });
  const list = useGet<BackupsRecord>("/backups");
  const state = task.data?.state;
  useEffect(() => {
    if (state === "done") void list.refetch();
  }, [state]);
  if (task.error) return <Problem error={task.error} />;
  if (state === "failed") return <Notice kind="bad" title={say("failed")}>{sentence(task.data?.error)}</Notice>;
  if (state !== "done") return <Notice kind="busy" title={say("working")} />;
  const { file, entries } = (task.data?.result ?? {}) as { file?: string; entries?: number };
  return <Notice kind="good" title={say("proved")}>{say("provedText", { file, entries })}</Notice>;
}
