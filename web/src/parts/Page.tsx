/** The frame of every screen: one heading, what can be done here, and the content in cards. */

import { useEffect, useRef, type ReactNode } from "react";
import { Link } from "react-router";
import { useWords } from "../words";
import { Icon } from "./Icon";

export type PageProps = {
  title: string;
  subtitle?: ReactNode;
  /** Buttons at the right of the heading. */
  actions?: ReactNode;
  /** The screen that this one belongs to. */
  back?: { to: string; title: string };
  /** Use the whole width: for tables of many columns. */
  wide?: boolean;
  children?: ReactNode;
};

export function Page({ title, subtitle, actions, back, wide, children }: PageProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  const say = useWords("parts");
  useEffect(() => {
    document.title = `${title} · ${say("product")}`;
  }, [title, say]);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  return (
    <div className={wide ? "page page-wide" : "page"}>
      <header className="page-head">
        <div className="page-name">
          {back && (
            <Link to={back.to} className="page-back">
              <Icon name="left" size={14} />
              {back.title}
            </Link>
          )}
          <h1 ref={heading} tabIndex={-1}>
            {title}
          </h1>
          {subtitle && <p className="page-subtitle">{subtitle}</p>}
        </div>
        {actions && <div className="page-actions">{actions}</div>}
      </header>
      {children}
    </div>
  );
}

/** A part of a page with a heading of its own. */
export function Card({
  title,
  hint,
  actions,
  plain,
  children,
}: {
  title?: string;
  hint?: ReactNode;
  actions?: ReactNode;
  /** Without frame: for tables, which have one. */
  plain?: boolean;
  children?: ReactNode;
}) {
  return (
    <section className={plain ? "card card-plain" : "card"} aria-label={title}>
      {(title || actions) && (
        <header className="card-head">
          <div>
            {title && <h2>{title}</h2>}
            {hint && <p className="hint">{hint}</p>}
          </div>
          {actions && <div className="card-actions">{actions}</div>}
        </header>
      )}
      {children}
    </section>
  );
}

/** Name and value pairs. */
export function Facts({ items }: { items: [name: string, value: ReactNode][] }) {
  return (
    <dl className="facts">
      {items.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value ?? "–"}</dd>
        </div>
      ))}
    </dl>
  );
}
