import type { Code } from '../../model/codes.js'
import type { FindingOf } from '../../model/facts.js'
import { checkWords } from './checks.js'
import { fileWords } from './files.js'
import { historyWords } from './history.js'
import { rollbackWords } from './rollback.js'
import { runWords } from './runs.js'
import type { WordsOf } from './say.js'
import { sessionWords } from './sessions.js'
import { statusWords } from './status.js'
import { targetWords } from './target.js'
import { toolWords } from './tools.js'
import { usageWords } from './usage.js'

/** The words of every code; the compiler finds one that is missing. */
export const words: WordsOf<Code> = {
  ...fileWords,
  ...historyWords,
  ...targetWords,
  ...runWords,
  ...checkWords,
  ...rollbackWords,
  ...toolWords,
  ...usageWords,
  ...sessionWords,
  ...statusWords,
}

/** A finding with its sentence and its fix. */
export function worded<C extends Code>(
  finding: FindingOf<C>,
): FindingOf<C> & { message: string; fix: string | null } {
  const { code, subject, facts } = finding
  const { message, fix } = words[code]
  return { ...finding, message: message(subject, facts), fix: fix?.(subject, facts) ?? null }
}
