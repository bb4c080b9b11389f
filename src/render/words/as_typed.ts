import type { TypedAs } from '../../model/facts.js'

/** A text with rethread's commands as the reader must type them: `npx rethread plan --dir db`. */
export const asTyped = (text: string, { program, flags, commands }: TypedAs): string =>
  text.replace(
    new RegExp(`(?<![\\w-])rethread (${commands.join('|')})(?![\\w-])`, 'g'),
    (_, command: string) => `${program} ${command}${flags}`,
  )
