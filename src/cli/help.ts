import { type Command, globalOptions } from '../command.js'
import { fleetOptions } from '../fleet/fleet_options.js'
import { flagOf, type Option } from '../model/options.js'

/** The commands for a beginner, in order of use. */
const startHere = ['demo', 'doctor', 'plan', 'migrate', 'verify']

/** The heading of a command in the list of all commands. */
export const commandGroup = (name: string): string =>
  startHere.includes(name) ? 'Start here:' : 'More commands:'

/** Names of commands in the order of the list, with those for beginners first. */
export const inHelpOrder = (names: string[]): string[] => [
  ...startHere.filter(name => names.includes(name)),
  ...names.filter(name => !startHere.includes(name)).sort(),
]

/** Options only for commands that connect to a database, and options only for those that ask for consent. */
const ofDatabase = ['databaseUrl', 'embedded']
const ofConsent = ['allow', 'confirm', 'reason', 'lockWait', 'yes']

/** True if a common option has an effect for a command. Others are accepted and ignored. */
export function isOfUse(option: Option<unknown>, command: Command): boolean {
  const [name] = Object.entries(globalOptions).find(([, o]) => o === option) ?? []
  if (name === undefined) return true
  if (ofDatabase.includes(name)) return !command.offline || command.mayConnect
  return command.consents || !ofConsent.includes(name)
}

const exitCodesText = `Exit codes:
  0    did all that was asked
  1    attention: a check found something, or steps are pending
  2    failed: an error, or wrong usage
  3    refused: a guard said no; the step that it stopped changed nothing
  130  interrupted; the same command continues`

/** The end of the list of commands. */
export const programHelp = `
${exitCodesText}

rethread help <command> shows the options of a command, rethread explain <code> what a finding means.`

/** The end of a command's help. */
export const commandHelp = ({ example }: Command): string => `
Example:
  ${example}

${exitCodesText}`

/** \`help migrate\` is \`migrate --help\`; \`help\` alone is the list of commands. */
export const readHelp = (argv: string[]): string[] =>
  argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv

/** Headings of the options. A command's own options come first. */
export const headings = { own: 'Options:', fleet: 'Over many databases:', common: 'Common options:' }

/** The heading of an option that only some commands have. */
export const headingOf = (option: Option<unknown>): string =>
  Object.values<Option<unknown>>(fleetOptions).includes(option) ? headings.fleet : headings.own

/** The names of an option as people type them, also the short one. */
export const flagNames = (option: Option<unknown>): string[] => [
  ...(/^-\w/.exec(option.flags) ?? []),
  flagOf(option.flags),
]

/** The shells with completion scripts. */
export const shells = ['bash', 'zsh', 'fish'] as const

/** The end of the help of `completion`. */
export const completionHelp = `
Examples:
  source <(rethread completion bash)      in ~/.bashrc
  source <(rethread completion zsh)       in ~/.zshrc, after compinit
  rethread completion fish | source       in ~/.config/fish/config.fish`
