/** What waits for a person: a list, and beside it what the chosen item is about and the decision. */

import "./queue/queue.css";
import { Link, useNavigate, useParams, useSearchParams } from "react-router";
import { usePages } from "../api/hooks";
import type { QueueItem } from "../api/types";
import { Empty } from "../parts/Empty";
import { Page } from "../parts/Page";
import { Loading, Problem } from "../parts/Problem";
import { State } from "../parts/State";
import { useWords } from "../words";
import { useFormat } from "../words/format";
import { ItemView } from "./queue/ItemView";
import { Ruling, useItemTitle } from "./queue/words";

export default function Queue() {
  const say = useWords("queue");
  const navigate = useNavigate();
  const { item: chosen } = useParams();
  const [search] = useSearchParams();
  const isSettled = search.get("show") === "settled";
  const list = usePages<QueueItem>("/queue", isSettled ? { settled: true } : {});
  const tab = (settled: boolean) => (settled ? "/queue?show=settled" : "/queue");
  return (
    <Page title={say("title")} subtitle={say("subtitle")} wide>
      <nav className="switch" aria-label={say("which")}>
        {[false, true].map((one) => (
          <Link key={String(one)} to={tab(one)} aria-current={one === isSettled || undefined}>
            {say(one ? "settled" : "open")}
          </Link>
        ))}
      </nav>
      {list.isPending && <Loading />}
      {list.error && <Problem error={list.error} retry={() => void list.refetch()} />}
      {list.data && list.items.length === 0 && !chosen && (
        <div className="card">
          <Empty title={say(isSettled ? "noneSettled" : "none")} icon="check">
            {say(isSettled ? "noneSettledText" : "noneText")}
          </Empty>
        </div>
      )}
      {list.data && (list.items.length > 0 || chosen) && (
        <div className="queue">
          <ul className="queue-list" aria-label={say("title")}>
            {list.items.map((one) => (
              <li key={one.id}>
                <Entry item={one} isChosen={one.id === chosen} settled={isSettled} />
              </li>
            ))}
          </ul>
          {chosen ? (
            <ItemView key={chosen} id={chosen} onDone={() => void navigate(tab(isSettled))} />
          ) : (
            <div className="card queue-choose">
              <Empty title={say("choose")} icon="inbox" />
            </div>
          )}
        </div>
      )}
    </Page>
  );
}

function Entry({
  item,
  isChosen,
  settled,
}: {
  item: QueueItem;
  isChosen: boolean;
  settled: boolean;
}) {
  const say = useWords("queue");
  const title = useItemTitle();
  const format = useFormat();
  const to = `/queue/${encodeURIComponent(item.id)}${settled ? "?show=settled" : ""}`;
  return (
    <Link to={to} className="queue-entry" aria-current={isChosen || undefined}>
      <strong>{title(item)}</strong>
      <span className="queue-line">
        {item.ruling ? (
          <Ruling ruling={item.ruling} />
        ) : item.overdue ? (
          <State kind="warn">{say("overdue")}</State>
        ) : (
          <span className="quiet">{say("due", { when: format.ago(item.due) })}</span>
        )}
        <span className="quiet">{format.date(item.asked)}</span>
      </span>
    </Link>
  );
}
