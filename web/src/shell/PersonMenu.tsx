/** The person: account, look, language, leaving. */

import { useNavigate } from "react-router";
import { useSession, useStanding } from "../api/session";
import { Icon } from "../parts/Icon";
import { Menu } from "../parts/Menu";
import { speak, useLanguage, useWords } from "../words";
import { useFormat } from "../words/format";
import { useLook, wear } from "./look";

export function PersonMenu() {
  const say = useWords("shell");
  const roles = useWords("roles");
  const { person } = useSession();
  const { leave } = useStanding();
  const navigate = useNavigate();
  const format = useFormat();
  const named = format.list([...new Set(person.grants.map((one) => roles(one.role)))]);
  return (
    <div className="top-person">
      <LanguageButton />
      <LookButton />
      <Menu
        name={say("me", { name: person.name })}
        items={[
          { title: say("account"), icon: "person", onChoose: () => void navigate("/account") },
          { title: say("help"), icon: "help", onChoose: () => void navigate("/help") },
          { title: say("leave"), icon: "leave", onChoose: () => void leave() },
        ]}
      >
        <span className="me">
          <span className="me-sign" aria-hidden="true">
            {[...person.name][0]}
          </span>
          <span className="me-name">
            <strong>{person.name}</strong>
            <small>{named || say("noRole")}</small>
          </span>
          <Icon name="down" size={14} />
        </span>
      </Menu>
    </div>
  );
}

/** Says the other language in its own words, as a stranger to this one needs it. */
export function LanguageButton() {
  const language = useLanguage();
  const say = useWords("shell");
  const other = language === "zh" ? "en" : "zh";
  return (
    <button
      type="button"
      className="button button-quiet button-language"
      lang={other === "zh" ? "zh-CN" : "en"}
      onClick={() => void speak(other)}
    >
      <Icon name="language" size={16} />
      <span>{say("otherLanguage")}</span>
    </button>
  );
}

export function LookButton() {
  const say = useWords("shell");
  const { shown } = useLook();
  const other = shown === "dark" ? "light" : "dark";
  return (
    <button
      type="button"
      className="button button-quiet button-bare"
      aria-label={say(`look.${other}`)}
      title={say(`look.${other}`)}
      onClick={() => wear(other)}
    >
      <Icon name={shown === "dark" ? "sun" : "moon"} size={18} />
    </button>
  );
}
