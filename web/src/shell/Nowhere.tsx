/** An address that leads nowhere. */

import { ButtonLink } from "../parts/Button";
import { Empty } from "../parts/Empty";
import { useWords } from "../words";

export function Nowhere() {
  const say = useWords("shell");
  return (
    <Empty
      title={say("nowhere.title")}
      icon="search"
      action={<ButtonLink to="/">{say("goHome")}</ButtonLink>}
    >
      {say("nowhere.text")}
    </Empty>
  );
}
