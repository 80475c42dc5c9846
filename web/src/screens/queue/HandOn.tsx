/** Hand an item to a colleague, who then stands in one's place. */

import { useState } from "react";
import { api, part } from "../../api/client";
import { usePages, useSend } from "../../api/hooks";
import type { Person, QueueItem } from "../../api/types";
import { ReasonDialog } from "../../parts/Dialog";
import { SelectField } from "../../parts/Field";
import { Problem } from "../../parts/Problem";
import { useToast } from "../../parts/Toast";
import { useWords } from "../../words";

export function HandOn({ item, onClose }: { item: QueueItem; onClose: () => void }) {
  const say = useWords("queue");
  const toast = useToast();
  const persons = usePages<Person>("/persons");
  const [to, setTo] = useState("");
  const hand = useSend(
    (reason: string) => api.post(`/queue/${part(item.id)}/delegate`, { to, reason }),
    {
      refresh: ["/queue", "/home"],
      done: () => {
        toast(say("done.handOn"));
        onClose();
      },
    },
  );
  const options = persons.items
    .filter((one) => one.is_active)
    .map((one) => ({ value: one.id, title: one.name }));
  return (
    <ReasonDialog
      open
      title={say("handOnTitle")}
      verb={say("handOn")}
      busy={hand.isPending}
      error={hand.error}
      disabled={!to}
      onClose={onClose}
      onReason={(reason) => hand.mutate(reason)}
    >
      {persons.error && <Problem error={persons.error} />}
      <SelectField
        label={say("handTo")}
        help={say("handToHelp")}
        value={to}
        onValue={setTo}
        options={[{ value: "", title: say("choosePerson"), disabled: true }, ...options]}
      />
    </ReasonDialog>
  );
}
