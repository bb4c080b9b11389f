import { type Command, globalOptions } from '../command.js'
import { filesIn, folderOf, formats } from '../library/discovery.js'
import { codes, hazards } from '../model/codes.js'
import { phases } from '../model/project.js'
import { shellQuoted } from '../model/shell_word.js'
import { flagNames, inHelpOrder, isOfUse, shells } from './help.js'

/** One flag: its names, its help, and whether it has a value. */
interface FlagEntry {
  names: string[]
  help: string
  takesValue: boolean
}

/** One command for the scripts. */
interface CommandEntry {
  name: string
  summary: string
  flags: FlagEntry[]
  /** Words that may follow it. */
  words: readonly string[]
}

/** The values of flags with a fixed set. */
async function valuesOf(): Promise<Record<string, readonly string[]>> {
  const format = await formats()
  return { '--format': format, '-f': format, '--phase': phases, '--allow': Object.keys(hazards) }
}

/** The words that may follow a command. Its usage has the actions: `sessions list`. */
const actionsOf = (name: string, { summary }: Command): string[] =>
  name === 'explain'
    ? [...Object.keys(codes), ...Object.keys(hazards)]
    : [...new Set([...summary.matchAll(new RegExp(`\`${name} (\\w+)`, 'g'))].map(m => m[1]!))]

async function entries(): Promise<CommandEntry[]> {
  const files = filesIn(folderOf('commands'))
  const names = inHelpOrder([...files.keys()])
  return Promise.all(
    names.map(async name => {
      const command = (await import(files.get(name)!)).default as Command
      const options = [...Object.values(command.options), ...Object.values(globalOptions)]
      return {
        name,
        summary: command.summary,
        words: actionsOf(name, command),
        flags: options
          .filter(option => isOfUse(option, command))
          .map(option => ({
            names: flagNames(option),
            help: option.help,
            takesValue: option.flags.includes('<'),
          })),
      }
    }),
  )
}

/** A script that completes command lines in a shell; null for an unknown shell. */
export async function completionScript(shell: string): Promise<string | null> {
  const known = shells.find(name => name === shell)
  return known ? scripts[known](await entries(), await valuesOf()) : null
}

type Script = (commands: CommandEntry[], values: Record<string, readonly string[]>) => string

const bash: Script = (commands, values) => {
  const names = commands.map(c => c.name)
  const free = new Set(commands.flatMap(c => c.flags.filter(f => f.takesValue).flatMap(f => f.names)))
  for (const flag of Object.keys(values)) free.delete(flag)
  return `# rethread completion for bash: source <(rethread completion bash)
_rethread() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command= words= word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in ${names.join('|')}) command=$word; break;; esac
  done
  case $previous in
${Object.entries(values)
  .map(([flag, words]) => `    ${flag}) words="${words.join(' ')}" ;;`)
  .join('\n')}
    ${[...free].join('|')}) return ;;
  esac
  if [ -z "$words" ]; then
    case $command in
      '') words="${[...names, 'help', 'completion', '--help', '--version'].join(' ')}" ;;
${commands
  .map(
    c => `      ${c.name}) words="${[...c.words, ...c.flags.flatMap(f => f.names), '--help'].join(' ')}" ;;`,
  )
  .join('\n')}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _rethread rethread
`
}

const zsh: Script = (commands, values) => {
  /** Escapes brackets and colons, which have a meaning in the specifications of _arguments. */
  const plain = (text: string): string => text.replace(/[[\]:\\]/g, '\\$&')
  const spec = (f: FlagEntry): string[] =>
    f.names.map(name => {
      const words = values[f.names.at(-1)!]
      const value = f.takesValue ? `:value:${words ? `(${words.join(' ')})` : '_files'}` : ''
      return shellQuoted(`${name}[${plain(f.help)}]${value}`)
    })
  return `#compdef rethread
# rethread completion for zsh: source <(rethread completion zsh)
_rethread() {
  local -a commands
  commands=(
${[...commands.map(c => [c.name, c.summary]), ['help', 'show the options of a command']]
  .map(([name, summary]) => `    ${shellQuoted(`${name}:${summary}`)}`)
  .join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  shift words
  (( CURRENT-- ))
  case $words[1] in
${commands
  .map(
    c => `    ${c.name})
      _arguments ${[...c.flags.flatMap(spec), c.words.length > 0 ? shellQuoted(`1:word:(${c.words.join(' ')})`) : shellQuoted('*:file:_files')].join(' \\\n        ')} ;;`,
  )
  .join('\n')}
  esac
}
compdef _rethread rethread
`
}

const fish: Script = (commands, values) => {
  /** Text in single quotes, as fish reads it. */
  const fishText = (text: string): string => `'${text.replace(/['\\]/g, '\\$&')}'`
  const line = (c: CommandEntry, f: FlagEntry): string => {
    const short = f.names.length > 1 ? ` -s ${f.names[0]!.slice(1)}` : ''
    const words = values[f.names.at(-1)!]
    const value = f.takesValue ? ` -r${words ? ` -f -a ${fishText(words.join(' '))}` : ''}` : ''
    return `complete -c rethread -n '__fish_seen_subcommand_from ${c.name}'${short} -l ${f.names.at(-1)!.slice(2)}${value} -d ${fishText(f.help)}`
  }
  return `# rethread completion for fish: rethread completion fish | source
${commands
  .flatMap(c => [
    `complete -c rethread -n __fish_use_subcommand -f -a ${c.name} -d ${fishText(c.summary)}`,
    ...c.flags.map(f => line(c, f)),
    ...(c.words.length > 0
      ? [
          `complete -c rethread -n '__fish_seen_subcommand_from ${c.name}' -f -a ${fishText(c.words.join(' '))}`,
        ]
      : []),
  ])
  .join('\n')}
`
}

const scripts: Record<(typeof shells)[number], Script> = { bash, zsh, fish }
