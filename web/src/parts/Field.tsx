/** Form fields: a label, a control, what helps, what is wrong. */

import {
  useId,
  type InputHTMLAttributes,
  type ReactNode,
  type SelectHTMLAttributes,
  type TextareaHTMLAttributes,
} from "react";
import { useWords } from "../words";
import { Icon } from "./Icon";

export type FieldProps = {
  label: string;
  help?: ReactNode;
  error?: ReactNode;
  optional?: boolean;
};

type Control = {
  id: string;
  "aria-describedby"?: string;
  "aria-invalid"?: boolean;
};

/** Label any control: `<Field label="…">{(control) => <input {...control} />}</Field>`. */
export function Field({
  label,
  help,
  error,
  optional,
  children,
}: FieldProps & { children: (control: Control) => ReactNode }) {
  const id = useId();
  const say = useWords("parts");
  const described = [help && `${id}-help`, error && `${id}-error`].filter(Boolean).join(" ");
  return (
    <div className="field">
      <label htmlFor={id}>
        {label}
        {optional && <span className="field-optional">{say("optional")}</span>}
      </label>
      {children({
        id,
        "aria-describedby": described || undefined,
        "aria-invalid": error ? true : undefined,
      })}
      {help && (
        <p className="field-help" id={`${id}-help`}>
          {help}
        </p>
      )}
      {error && (
        <p className="field-error" id={`${id}-error`} role="alert">
          <Icon name="warn" size={14} />
          {error}
        </p>
      )}
    </div>
  );
}

type Typed = { value: string; onValue: (value: string) => void };

export function TextField({
  label,
  help,
  error,
  optional,
  value,
  onValue,
  ...rest
}: FieldProps & Typed & Omit<InputHTMLAttributes<HTMLInputElement>, "value" | "onChange">) {
  return (
    <Field {...{ label, help, error, optional }}>
      {(control) => (
        <input
          type="text"
          {...rest}
          {...control}
          value={value}
          onChange={(event) => onValue(event.target.value)}
        />
      )}
    </Field>
  );
}

export function AreaField({
  label,
  help,
  error,
  optional,
  value,
  onValue,
  ...rest
}: FieldProps & Typed & Omit<TextareaHTMLAttributes<HTMLTextAreaElement>, "value" | "onChange">) {
  return (
    <Field {...{ label, help, error, optional }}>
      {(control) => (
        <textarea
          rows={3}
          {...rest}
          {...control}
          value={value}
          onChange={(event) => onValue(event.target.value)}
        />
      )}
    </Field>
  );
}

export type Option = { value: string; title: string; lang?: string; disabled?: boolean };

export function SelectField({
  label,
  help,
  error,
  optional,
  value,
  onValue,
  options,
  ...rest
}: FieldProps &
  Typed & { options: Option[] } & Omit<
    SelectHTMLAttributes<HTMLSelectElement>,
    "value" | "onChange"
  >) {
  return (
    <Field {...{ label, help, error, optional }}>
      {(control) => (
        <select
          {...rest}
          {...control}
          value={value}
          onChange={(event) => onValue(event.target.value)}
        >
          {options.map((one) => (
            <option key={one.value} value={one.value} disabled={one.disabled}>
              {one.title}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

export function CheckField({
  label,
  help,
  checked,
  onChecked,
  disabled,
}: {
  label: ReactNode;
  help?: ReactNode;
  checked: boolean;
  onChecked: (checked: boolean) => void;
  disabled?: boolean;
}) {
  const id = useId();
  return (
    <div className="check">
      <input
        id={id}
        type="checkbox"
        checked={checked}
        disabled={disabled}
        aria-describedby={help ? `${id}-help` : undefined}
        onChange={(event) => onChecked(event.target.checked)}
      />
      <div>
        <label htmlFor={id}>{label}</label>
        {help && (
          <p className="field-help" id={`${id}-help`}>
            {help}
          </p>
        )}
      </div>
    </div>
  );
}

/** One of a few, each with its sentence. */
export function ChoiceField({
  label,
  help,
  value,
  onValue,
  options,
}: FieldProps & Typed & { options: (Option & { help?: ReactNode })[] }) {
  const id = useId();
  return (
    <fieldset className="choices">
      <legend>{label}</legend>
      {help && <p className="field-help">{help}</p>}
      {options.map((one) => (
        <label key={one.value} className="choice">
          <input
            type="radio"
            name={id}
            value={one.value}
            checked={one.value === value}
            disabled={one.disabled}
            onChange={() => onValue(one.value)}
          />
          <span>
            <strong lang={one.lang}>{one.title}</strong>
            {one.help && <span className="choice-help">{one.help}</span>}
          </span>
        </label>
      ))}
    </fieldset>
  );
}
