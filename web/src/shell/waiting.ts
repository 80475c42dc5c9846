/** How many things wait for a person here: from the queue, kept up by events. */

import { useGet } from "../api/hooks";
import type { Home } from "../api/types";

export function useOpenCount(): number {
  const home = useGet<Home>("/home");
  return home.data?.waiting.length ?? 0;
}
