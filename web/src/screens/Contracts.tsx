/** Every agreement of this hospital, in both roles: with whom, on what, until when, in force or not. */

import { useState } from "react";
import { part } from "../api/client";
import { usePages } from "../api/hooks";
import type { AgreementRow } from "../api/reading";
import { ButtonLink, Empty, Loading, Page, Problem, Table, type Column } from "../parts";
import { useWords } from "../words";
import { useFormat } from "../words/format";
import { Choice } from "./Catalogue";
import { AgreementState, Identifier, useTitles } from "./common";

export default function Contracts() {
  const say = useWords("contracts");
  const states = useWords("common");
  const format = useFormat();
  const title = useTitles();
  const [role, setRole] = useState("");
  const [state, setState] = useState("");
  const found = usePages<AgreementRow>("/agreements", { limit: 200 });
  const rows = found.items.filter((one) => (!role || one.role === role) && (!state || one.state === state));
  const known = [...new Set(found.items.map((one) => one.state))];
  const other = (one: AgreementRow) => title(one.role === "consumer" ? one.provider_title : one.consumer_title);
  const columns: Column<AgreementRow>[] = [
    { id: "dataset", title: say("dataset"), value: (one) => title(one.dataset_title), cell: (one) => title(one.dataset_title) },
    { id: "other", title: say("other"), value: other, cell: other },
    { id: "role", title: say("role"), tight: true, value: (one) => say(`is.${one.role}`), cell: (one) => say(`is.${one.role}`) },
    { id: "state", title: say("state"), tight: true, value: (one) => states(`agreement.${one.state}`), cell: (one) => <AgreementState state={one.state} /> },
    { id: "agreed", title: say("agreed"), tight: true, value: (one) => one.agreed, cell: (one) => format.date(one.agreed) },
    { id: "ends", title: say("ends"), tight: true, value: (one) => one.terms.not_after, cell: (one) => format.date(one.terms.not_after) },
    { id: "contract", title: say("contract"), value: (one) => one.contract_id, tight: true, cell: (one) => <Identifier value={one.contract_id ?? ""} length={12} /> },
  ];
  return (
    <Page
      title={say("title")}
      subtitle={say("subtitle")}
      actions={
        <ButtonLink icon="catalogue" to="/catalogue">
          {say("toCatalogue")}
        </ButtonLink>
      }
      wide
    >
      {found.isPending ? (
        <Loading />
      ) : found.error && !found.items.length ? (
        <Problem error={found.error} retry={() => void found.refetch()} />
      ) : (
        <Table
          name={say("title")}
          columns={columns}
          rows={rows}
          rowKey={(one) => `${one.id} ${one.role}`}
          href={(one) => `/contracts/${part(one.id)}`}
          filter
          more={found.more}
          isFetchingMore={found.isFetchingMore}
          tools={
            found.items.length > 0 && (
              <>
                <Choice label={say("role")} value={role} onValue={setRole} options={[["", say("anyRole")], ["consumer", say("is.consumer")], ["provider", say("is.provider")]]} />
                <Choice label={say("state")} value={state} onValue={setState} options={[["", say("anyState")], ...known.map((one) => [one, states(`agreement.${one}`)] as [string, string])]} />
              </>
            )
          }
          empty={
            <Empty
              title={say("empty")}
              icon="contract"
              action={
                <ButtonLink kind="primary" to="/catalogue">
                  {say("toCatalogue")}
                </ButtonLink>
              }
            >
              {say("emptyNext")}
            </Empty>
          }
        />
      )}
    </Page>
  );
}
