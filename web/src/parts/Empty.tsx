/** Nothing here yet: what this place is for, and the next step. */

import type { ReactNode } from "react";
import { Icon, type IconName } from "./Icon";

export function Empty({
  title,
  icon = "inbox",
  action,
  children,
}: {
  title: string;
  icon?: IconName;
  /** The button or link of the next step. */
  action?: ReactNode;
  children?: ReactNode;
}) {
  return (
    <div className="empty">
      <span className="empty-icon">
        <Icon name={icon} size={28} />
      </span>
      <h3>{title}</h3>
      {children && <p>{children}</p>}
      {action && <div className="empty-action">{action}</div>}
    </div>
  );
}
