import { filesIn, folderOf } from '../library/discovery.js'
import type { TypedAs } from '../model/facts.js'
import type { Typed } from '../model/options.js'
import type { Report } from '../model/report.js'
import { shellWord } from '../model/shell_word.js'
import { asTyped } from '../render/words/as_typed.js'

/** The command that starts a package's program, by package manager. */
const starters: Record<string, string> = { bun: 'bunx', pnpm: 'pnpm exec', yarn: 'yarn' }

/** How rethread was started. A package manager names itself in the environment. */
function programIn({ npm_lifecycle_event, npm_config_user_agent = '' }: NodeJS.ProcessEnv): string {
  if (npm_lifecycle_event === undefined) return 'rethread'
  return `${starters[npm_config_user_agent.split('/')[0]!] ?? 'npx'} rethread`
}

/**
 * How to type a command with the same files. A database's URL is left out, because it may contain a secret.
 */
export function typedLike(
  typed: Record<string, Typed>,
  env: NodeJS.ProcessEnv,
  { writesLayout }: { writesLayout: boolean },
): TypedAs {
  const flags = ['dir', 'config', ...(writesLayout ? [] : ['layout'])].flatMap(flag => {
    const value = typed[flag]
    return typeof value === 'string' ? [` --${flag} ${shellWord(value)}`] : []
  })
  return {
    program: programIn(env),
    flags: [...flags, ...(typed.embedded === true ? [' --embedded'] : [])].join(''),
    commands: [...filesIn(folderOf('commands')).keys()],
  }
}

/** A report with its commands as they are typed here. Wrong usage gets the command that was typed. */
export function withCommands(report: Report, name: string, typedAs: TypedAs): Report {
  const { next, findings, targets } = report
  return {
    ...report,
    ...(next === undefined ? {} : { next: asTyped(next, typedAs) }),
    findings: findings.map(f =>
      f.code === 'USAGE'
        ? { ...f, typedAs, facts: { ...f.facts, command: f.facts.command ?? name } }
        : { ...f, typedAs },
    ),
    ...(targets
      ? { targets: targets.map(t => ({ ...t, report: t.report && withCommands(t.report, name, typedAs) })) }
      : {}),
  }
}
