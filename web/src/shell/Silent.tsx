/** The node does not answer at all: say so, and look again by itself. */

import { useEffect } from "react";
import { useStanding } from "../api/session";
import { Button } from "../parts/Button";
import { Empty } from "../parts/Empty";
import { useWords } from "../words";

const AGAIN_MS = 5000;

export function Silent() {
  const { look } = useStanding();
  const say = useWords("shell");
  useEffect(() => {
    const timer = setInterval(() => void look(), AGAIN_MS);
    return () => clearInterval(timer);
  }, [look]);
  return (
    <main className="alone">
      <Empty
        title={say("silent.title")}
        icon="node"
        action={
          <Button icon="refresh" onClick={() => void look()}>
            {say("silent.again")}
          </Button>
        }
      >
        {say("silent.text")}
      </Empty>
    </main>
  );
}
