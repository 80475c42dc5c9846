/** Names of persons by their numbers, for those who may read the list of accounts. */

import { useCallback } from "react";
import { usePages } from "../api/hooks";
import { useSession } from "../api/session";
import type { Person } from "../api/types";
import { useWords } from "../words";

export function usePersonName(): (id: string) => string {
  const say = useWords("persons");
  const { person } = useSession();
  const { items } = usePages<Person>("/persons");
  return useCallback(
    (id) => {
      if (id === person.id) return say("me", { name: person.name });
      return items.find((one) => one.id === id)?.name ?? (id ? say("somebody") : "–");
    },
    [items, person, say],
  );
}
