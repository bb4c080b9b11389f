import { quotedText } from '../model/table_name.js'

/** A setting that SQL reads, whether its value is read as JSON, and the key that is taken of it. */
const reading =
  /current_setting\(\s*'([^']+)'(?:::text)?\s*(?:,\s*\w+\s*)?\)(?:\s*,\s*''(?:::text)?\s*\))?[\s)]*(::\s*jsonb?)?[\s)]*(?:->>\s*'([^']+)')?/gi

/**
 * The settings that a text of SQL reads, each once: `app.user_id`, or `request.jwt.claims->>sub` for a key of
 * a JSON value. One that is read in another way is left out.
 */
export const settingsRead = (text: string): string[] => [
  ...new Set(
    [...text.matchAll(reading)].flatMap(([, name, json, key]) =>
      key !== undefined ? `${name}->>${key}` : json === undefined ? name! : [],
    ),
  ),
]

/** SQL for the value of such a setting. One that was local to a transaction is empty afterwards, not null. */
export function settingValue(read: string): string {
  const [name, key] = read.split('->>') as [string, string | undefined]
  const value = `nullif(current_setting('${name}', true), '')`
  return key === undefined ? value : `(${value}::json ->> ${quotedText(key)})`
}
