/** How something stands: a word and a sign, so that colour is never alone. */

import type { ReactNode } from "react";
import { Icon } from "./Icon";

export type StateKind = "good" | "bad" | "warn" | "wait" | "info" | "off" | "busy";

export function State({ kind, children }: { kind: StateKind; children: ReactNode }) {
  return (
    <span className={`state state-${kind}`}>
      <Icon name={kind} size={14} />
      <span>{children}</span>
    </span>
  );
}

/** A small word beside something: its kind, its number. */
export function Tag({ children }: { children: ReactNode }) {
  return <span className="tag">{children}</span>;
}

/** A sentence that must be noticed. */
export function Notice({
  kind = "info",
  title,
  actions,
  children,
}: {
  kind?: StateKind;
  title?: string;
  actions?: ReactNode;
  children?: ReactNode;
}) {
  return (
    <div className={`notice notice-${kind}`} role={kind === "bad" ? "alert" : "status"}>
      <Icon name={kind} />
      <div className="notice-text">
        {title && <strong>{title}</strong>}
        {children && <div>{children}</div>}
      </div>
      {actions && <div className="notice-actions">{actions}</div>}
    </div>
  );
}
