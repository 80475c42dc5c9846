/** Several views of one thing. Arrow keys move, as in every tab list. */

import { useId, useRef, type KeyboardEvent, type ReactNode } from "react";
import { useSearchParams } from "react-router";

export type Tab = { id: string; title: string; count?: number; panel: () => ReactNode };

/** The chosen tab stands in the address (`?tab=`), so that it can be sent to a colleague. */
export function Tabs({ name, tabs, param = "tab" }: { name: string; tabs: Tab[]; param?: string }) {
  const [search, setSearch] = useSearchParams();
  const base = useId();
  const list = useRef<HTMLDivElement>(null);
  const chosen = tabs.find((tab) => tab.id === search.get(param)) ?? tabs[0];
  const choose = (index: number) => {
    const tab = tabs[(index + tabs.length) % tabs.length];
    if (!tab) return;
    setSearch(
      (before) => {
        const after = new URLSearchParams(before);
        after.set(param, tab.id);
        return after;
      },
      { replace: true },
    );
    list.current?.querySelector<HTMLElement>(`[data-tab="${tab.id}"]`)?.focus();
  };
  const move = (event: KeyboardEvent) => {
    const at = tabs.findIndex((tab) => tab === chosen);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose(to);
  };
  if (!chosen) return null;
  return (
    <div className="tabs">
      <div className="tab-list" role="tablist" aria-label={name} ref={list} onKeyDown={move}>
        {tabs.map((tab, index) => (
          <button
            key={tab.id}
            type="button"
            role="tab"
            id={`${base}-${tab.id}`}
            data-tab={tab.id}
            aria-selected={tab === chosen}
            aria-controls={`${base}-panel`}
            tabIndex={tab === chosen ? 0 : -1}
            onClick={() => choose(index)}
          >
            {tab.title}
            {tab.count !== undefined && <span className="tab-count">{tab.count}</span>}
          </button>
        ))}
      </div>
      <div
        role="tabpanel"
        id={`${base}-panel`}
        aria-labelledby={`${base}-${chosen.id}`}
        className="tab-panel"
      >
        {chosen.panel()}
      </div>
    </div>
  );
}
