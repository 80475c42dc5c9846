/** Accounts of this hospital: who, in which roles, signed in from where; for administrators. */

import { useState } from "react";
import { usePages } from "../api/hooks";
import type { Person } from "../api/types";
import { Button } from "../parts/Button";
import { Page } from "../parts/Page";
import { Loading, Problem } from "../parts/Problem";
import { State } from "../parts/State";
import { Table, type Column } from "../parts/Table";
import { Tabs } from "../parts/Tabs";
import { GrantTags } from "../shell/GrantTags";
import { useWords } from "../words";
import { useFormat } from "../words/format";
import { AddPerson } from "./persons/AddPerson";
import { PersonDeeds } from "./persons/PersonDeeds";
import { SessionsTable } from "./persons/SessionsTable";

export default function Persons() {
  const say = useWords("persons");
  const [isAdding, setAdding] = useState(false);
  return (
    <Page
      title={say("title")}
      subtitle={say("subtitle")}
      wide
      actions={
        <Button kind="primary" icon="plus" onClick={() => setAdding(true)}>
          {say("add")}
        </Button>
      }
    >
      <Tabs
        name={say("title")}
        tabs={[
          { id: "accounts", title: say("accounts"), panel: () => <Accounts /> },
          { id: "sessions", title: say("sessions"), panel: () => <SessionsTable everybody /> },
        ]}
      />
      {isAdding && <AddPerson onClose={() => setAdding(false)} />}
    </Page>
  );
}

function Accounts() {
  const say = useWords("persons");
  const roles = useWords("roles");
  const format = useFormat();
  const list = usePages<Person>("/persons");
  const columns: Column<Person>[] = [
    {
      id: "name",
      title: say("name"),
      value: (one) => one.name,
      cell: (one) => <strong>{one.name}</strong>,
    },
    {
      id: "roles",
      title: say("roles"),
      value: (one) => one.grants.map((grant) => roles(grant.role)).join(" "),
      cell: (one) => <GrantTags grants={one.grants} />,
    },
    {
      id: "state",
      title: say("state"),
      tight: true,
      value: (one) => say(one.is_active ? "active" : "disabled"),
      cell: (one) => (
        <State kind={one.is_active ? "good" : "off"}>
          {say(one.is_active ? "active" : "disabled")}
        </State>
      ),
    },
    {
      id: "created",
      title: say("created"),
      tight: true,
      value: (one) => one.created,
      cell: (one) => format.date(one.created),
    },
    { id: "deeds", title: "", onScreen: true, cell: (one) => <PersonDeeds person={one} /> },
  ];
  if (list.isPending) return <Loading />;
  if (list.error) return <Problem error={list.error} retry={() => void list.refetch()} />;
  return (
    <Table
      name={say("accounts")}
      columns={columns}
      rows={list.items}
      rowKey={(one) => one.id}
      sort={{ column: "name" }}
      more={list.more}
      filter
    />
  );
}
