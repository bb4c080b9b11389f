import type { TerminalStyle } from '../render/renderer.js'
import type { Process } from './input.js'

/** Columns of an output that is not a terminal. */
const usualWidth = 100
/** A width below this is ignored, because nothing would be readable. */
const leastWidth = 30

type TypedFlags = Record<string, unknown>

/**
 * Whether output has colours: by the flag, then FORCE_COLOR (also for files), then NO_COLOR, then whether it
 * is a terminal. Sources: force-color.org, no-color.org.
 */
export function hasColor({ env, stdout }: Process, typed: TypedFlags): boolean {
  if (typed.color === false) return false
  const { FORCE_COLOR: forced, NO_COLOR: none } = env
  if (forced !== undefined && forced !== '') return forced !== '0' && forced !== 'false'
  return !none && env.TERM !== 'dumb' && Boolean(stdout.isTTY)
}

/** Columns of the terminal, else of COLUMNS; null if unknown. */
function outputColumns({ env, stdout }: Process): number | null {
  const said = stdout.columns ?? Number(env.COLUMNS)
  return Number.isInteger(said) && said > 0 ? Math.max(leastWidth, said) : null
}

/** The style of the output. */
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
 * Whether a terminal can show Unicode. The rule is that of the npm package is-unicode-supported: on Windows
 * only known terminals, elsewhere all except the Linux console.
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

/** Replacements for marks, from characters of all code pages, like those of the package figures. */
const plainMarks: Record<string, string> = {
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

/** A text with marks that the terminal can show. Each has one column, so tables stay aligned. */
export const withPlainMarks = (text: string): string =>
  text.replace(/[✓✗–·‖↺→←’…]/g, mark => plainMarks[mark]!)
