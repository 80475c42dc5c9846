/** Buttons, and links that look like them. One `primary` at most on a page. */

import type { ButtonHTMLAttributes, ReactNode } from "react";
import { Link } from "react-router";
import { Icon, type IconName } from "./Icon";

export type ButtonKind = "primary" | "plain" | "quiet" | "danger";

type Look = { kind?: ButtonKind; icon?: IconName; small?: boolean };

export type ButtonProps = Look &
  ButtonHTMLAttributes<HTMLButtonElement> & {
    /** The deed is under way: the button waits and cannot be pressed again. */
    busy?: boolean;
    children?: ReactNode;
  };

const classes = (look: Look, bare: boolean) =>
  ["button", `button-${look.kind ?? "plain"}`, look.small && "button-small", bare && "button-bare"]
    .filter(Boolean)
    .join(" ");

export function Button({ kind, icon, small, busy, children, disabled, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      className={classes({ kind, small }, !children)}
      disabled={disabled || busy}
      aria-busy={busy || undefined}
    >
      {busy ? <Icon name="busy" size={16} /> : icon && <Icon name={icon} size={16} />}
      {children && <span>{children}</span>}
    </button>
  );
}

export function ButtonLink({
  to,
  kind,
  icon,
  small,
  children,
}: Look & { to: string; children: ReactNode }) {
  return (
    <Link to={to} className={classes({ kind, small }, false)}>
      {icon && <Icon name={icon} size={16} />}
      <span>{children}</span>
    </Link>
  );
}
