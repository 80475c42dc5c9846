/** The page before the door: what this is, and one short form. */

import type { FormEvent, ReactNode } from "react";
import { useWords } from "../words";
import { LanguageButton, LookButton } from "./PersonMenu";

export function Threshold({
  title,
  intro,
  onSubmit,
  children,
}: {
  title: string;
  intro?: ReactNode;
  onSubmit: () => void;
  children: ReactNode;
}) {
  const say = useWords("threshold");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSubmit();
  };
  return (
    <div className="threshold">
      <header className="threshold-head">
        <LanguageButton />
        <LookButton />
      </header>
      <div className="threshold-story">
        <img src="/icon.svg" alt="" width={52} height={52} />
        <p className="threshold-name">
          Consilium<span lang="zh-CN">会诊</span>
        </p>
        <p className="threshold-promise">{say("promise")}</p>
        <p className="threshold-text">{say("text")}</p>
      </div>
      <main className="threshold-door">
        <form className="threshold-form" noValidate onSubmit={submit}>
          <h1>{title}</h1>
          {intro && <p className="threshold-intro">{intro}</p>}
          {children}
        </form>
      </main>
    </div>
  );
}
