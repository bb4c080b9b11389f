import type { TypedAs } from '../../model/facts.js'

/** A text whose commands of rethread are as they are typed where it is read: `npx rethread plan --dir db`. */
export const asTyped = (text: string, { program, flags, commands }: TypedAs): string =>
  text.replace(
    new RegExp(`(?<![\\w-])rethread (${commands.join('|')})(?![\\w-])`, 'g'),
    (_, command: string) => `${program} ${command}${flags}`,
  )
