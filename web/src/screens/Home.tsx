/** Home: what waits for me, how the node is, the newest studies. */

import "./home/home.css";
import { useGet } from "../api/hooks";
import { useSession } from "../api/session";
import type { Home as HomeRecord } from "../api/types";
import { Page } from "../parts/Page";
import { Await } from "../parts/Problem";
import { useWords } from "../words";
import { Alerts, HealthCard, StudiesCard, WaitingCard } from "./home/cards";

export default function Home() {
  const say = useWords("home");
  const { person } = useSession();
  const home = useGet<HomeRecord>("/home");
  return (
    <Page title={say("title", { name: person.name })} subtitle={say("subtitle")}>
      <Await of={home}>
        {(found) => (
          <>
            <Alerts alerts={found.alerts} />
            <div className="home">
              <div className="stack-l">
                <WaitingCard items={found.waiting} releases={found.releases} />
                <StudiesCard studies={found.studies} />
              </div>
              <HealthCard health={found.health} />
            </div>
          </>
        )}
      </Await>
    </Page>
  );
}
