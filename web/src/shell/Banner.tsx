/** What everybody at this node must know now: no line to the node, or none to the space. */

import { useGet } from "../api/hooks";
import { useIsLive } from "../api/stream";
import type { Home } from "../api/types";
import { Icon } from "../parts/Icon";
import { useWords } from "../words";

export function Banner() {
  const say = useWords("shell");
  const isLive = useIsLive();
  const home = useGet<Home>("/home");
  const isOnline = home.data?.health.online ?? true;
  if (isLive && isOnline) return null;
  const word = isLive ? "space" : "node";
  return (
    <div className="banner" role="alert">
      <Icon name="warn" size={18} />
      <p>
        <strong>{say(`offline.${word}`)}</strong> {say(`offline.${word}Text`)}
      </p>
    </div>
  );
}
