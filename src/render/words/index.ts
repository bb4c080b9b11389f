import type { Code } from '../../model/codes.js'
import type { FindingOf } from '../../model/facts.js'
import { checks } from './checks.js'
import { files } from './files.js'
import { history } from './history.js'
import { rollback } from './rollback.js'
import { runs } from './runs.js'
import type { WordsOf } from './say.js'
import { target } from './target.js'
import { usage } from './usage.js'

export { hazardWords } from './hazards.js'

/** The words of every code; the compiler sees to it that none is missing. */
export const words: WordsOf<Code> = {
  ...files,
  ...history,
  ...target,
  ...runs,
  ...checks,
  ...rollback,
  ...usage,
}

/** A finding with its sentence and its fix. */
export function worded<C extends Code>(
  finding: FindingOf<C>,
): FindingOf<C> & { message: string; fix: string | null } {
  const { code, subject, facts } = finding
  const { message, fix } = words[code]
  return { ...finding, message: message(subject, facts), fix: fix?.(subject, facts) ?? null }
}
