/** A screen that failed: the rest of the console stays, and what to do is said. */

import { useEffect } from "react";
import { useRouteError } from "react-router";
import { Button } from "../parts/Button";
import { Empty } from "../parts/Empty";
import { useWords } from "../words";

export function Broken() {
  const error = useRouteError();
  const say = useWords("shell");
  useEffect(() => console.error(error), [error]);
  return (
    <Empty
      title={say("broken.title")}
      icon="warn"
      action={
        <Button icon="refresh" onClick={() => window.location.reload()}>
          {say("broken.reload")}
        </Button>
      }
    >
      {say("broken.text")}
    </Empty>
  );
}
