/** Shows a screen to whoever may use it; others learn whom to ask. The node decides again. */

import type { ReactNode } from "react";
import { useMay } from "../api/session";
import type { Action } from "../api/types";
import { ButtonLink } from "../parts/Button";
import { Empty } from "../parts/Empty";
import { useWords } from "../words";

export function Guard({ needs, children }: { needs?: Action[]; children: ReactNode }) {
  const may = useMay();
  const say = useWords("shell");
  if (!needs || needs.some(may)) return <>{children}</>;
  return (
    <Empty
      title={say("guard.title")}
      icon="lock"
      action={<ButtonLink to="/">{say("goHome")}</ButtonLink>}
    >
      {say("guard.text")}
    </Empty>
  );
}
