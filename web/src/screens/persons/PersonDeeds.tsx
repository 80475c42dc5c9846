/** What an administrator can do with an account, each with its question. */

import { useState } from "react";
import { api, part } from "../../api/client";
import { useSend } from "../../api/hooks";
import { useSession } from "../../api/session";
import type { Person } from "../../api/types";
import { ReasonDialog } from "../../parts/Dialog";
import { Menu } from "../../parts/Menu";
import { useToast } from "../../parts/Toast";
import { useWords } from "../../words";
import { EditRoles } from "./EditRoles";
import { SetPassword } from "./SetPassword";

type Deed = "roles" | "password" | "disable" | "enable" | "reset";

export function PersonDeeds({ person }: { person: Person }) {
  const say = useWords("persons");
  const { person: me } = useSession();
  const [deed, setDeed] = useState<Deed | null>(null);
  const isMe = person.id === me.id;
  const close = () => setDeed(null);
  return (
    <>
      <Menu
        name={say("deeds", { name: person.name })}
        items={[
          { title: say("editRoles"), icon: "edit", onChoose: () => setDeed("roles") },
          {
            title: say("setPassword"),
            icon: "key",
            disabled: isMe,
            onChoose: () => setDeed("password"),
          },
          // Whoever lost his own second factor needs another administrator.
          {
            title: say("reset"),
            icon: "refresh",
            disabled: isMe,
            onChoose: () => setDeed("reset"),
          },
          person.is_active
            ? {
                title: say("disable"),
                icon: "lock",
                danger: true,
                disabled: isMe,
                onChoose: () => setDeed("disable"),
              }
            : { title: say("enable"), icon: "check", onChoose: () => setDeed("enable") },
        ]}
      />
      {deed === "roles" && <EditRoles person={person} onClose={close} />}
      {deed === "password" && <SetPassword person={person} onClose={close} />}
      {(deed === "disable" || deed === "enable" || deed === "reset") && (
        <WithReason deed={deed} person={person} onClose={close} />
      )}
    </>
  );
}

function WithReason({
  deed,
  person,
  onClose,
}: {
  deed: "disable" | "enable" | "reset";
  person: Person;
  onClose: () => void;
}) {
  const say = useWords("persons");
  const toast = useToast();
  const path = `/persons/${part(person.id)}`;
  const send = useSend(
    (reason: string) =>
      deed === "reset"
        ? api.delete<unknown>(`${path}/second-factor`, { reason })
        : api.post<unknown>(`${path}/${deed}`, { reason }),
    {
      refresh: ["/persons", "/sessions"],
      done: () => {
        toast(say(`done.${deed}`, { name: person.name }));
        onClose();
      },
    },
  );
  return (
    <ReasonDialog
      open
      title={say(`${deed}Title`, { name: person.name })}
      verb={say(deed)}
      danger={deed !== "enable"}
      busy={send.isPending}
      error={send.error}
      onClose={onClose}
      onReason={(reason) => send.mutate(reason)}
    >
      <p>{say(`${deed}Text`)}</p>
    </ReasonDialog>
  );
}
