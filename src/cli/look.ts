import type { TerminalStyle } from '../render/renderer.js'
import type { Process } from './input.js'

/** Columns of an output that is no terminal. */
const usualWidth = 100
/** A terminal that says it is narrower than this shows nothing that can be read. */
const leastWidth = 30

type TypedFlags = Record<string, unknown>

/**
 * Whether output has colours. The flag is asked first, then FORCE_COLOR, which also colours what goes to a
 * file, then NO_COLOR, then the terminal itself. Sources: force-color.org, no-color.org.
 */
export function hasColor({ env, stdout }: Process, typed: TypedFlags): boolean {
  if (typed.color === false) return false
  const { FORCE_COLOR: forced, NO_COLOR: none } = env
  if (forced !== undefined && forced !== '') return forced !== '0' && forced !== 'false'
  return !none && env.TERM !== 'dumb' && Boolean(stdout.isTTY)
}

/** Columns of the output: of its terminal, else as COLUMNS says; null where nobody says. */
function outputColumns({ env, stdout }: Process): number | null {
  const said = stdout.columns ?? Number(env.COLUMNS)
  return Number.isInteger(said) && said > 0 ? Math.max(leastWidth, said) : null
}

/** How the output shows a report. */
export function lookOf(process: Process, typed: TypedFlags): TerminalStyle {
  const columns = outputColumns(process)
  return {
    color: hasColor(process, typed),
    verbose: typed.verbose === true,
    width: columns ?? usualWidth,
    wrap: columns !== null,
  }
}

/**
 * Whether a terminal shows more than the characters of its code page. The rule is that of the npm package
 * is-unicode-supported: on Windows only terminals that are known to, elsewhere all but the Linux console.
 */
export function showsUnicode({ env, platform }: Pick<Process, 'env' | 'platform'>): boolean {
  if (platform !== 'win32') return env.TERM !== 'linux'
  return Boolean(
    env.WT_SESSION ||
      env.TERMINUS_SUBLIME ||
      env.ConEmuTask === '{cmd::Cmder}' ||
      env.TERM_PROGRAM === 'Terminus-Sublime' ||
      env.TERM_PROGRAM === 'vscode' ||
      env.TERM === 'xterm-256color' ||
      env.TERM === 'alacritty' ||
      env.TERM === 'rxvt-unicode' ||
      env.TERM === 'rxvt-unicode-256color' ||
      env.TERMINAL_EMULATOR === 'JetBrains-JediTerm',
  )
}

/** Our own marks, each as one that every code page has, such as the package figures chooses. */
const plain: Record<string, string> = {
  '✓': '√',
  '✗': 'x',
  '–': '-',
  '·': '.',
  '‖': '|',
  '↺': '<',
  '→': '>',
  '←': '<',
  '’': "'",
  '…': '.',
}

/** Text with our own marks as a terminal can show them; each takes one column, so tables stay as they are. */
export const withPlainMarks = (text: string): string => text.replace(/[✓✗–·‖↺→←’…]/g, mark => plain[mark]!)
