import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  realpathSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, resolve } from 'node:path'
import { maskUrl, secretsIn } from '../database/address.js'
import { findingsOf, isSystemError, UsageError } from '../model/failure.js'
import { emptyReport, type Finding, type Report } from '../model/report.js'
import { escaped, terminalText } from '../render/escape.js'

/** Writes a file that a flag names, and the folders above it; what the system has against it. */
export function writeOutput(cwd: string, path: string, text: string): Finding[] {
  try {
    const to = resolve(cwd, path)
    makeFolder(dirname(to))
    writeFileSync(to, text)
    return []
  } catch (error) {
    return findingsOf(error)
  }
}

/**
 * Throws UsageError where a file that a flag names cannot be written: to be found before the command runs,
 * not when its report is lost. It tries, because permissions alone say little of /proc or a full disk.
 */
export function checkOutput(cwd: string, flag: string, path: string): void {
  const to = resolve(cwd, path)
  const refuse = (reason: string): never => {
    throw new UsageError(`${flag} ${path}`, reason)
  }
  try {
    const there = existsSync(to)
    if (there && statSync(to).isDirectory()) refuse('it is a folder')
    if (isNamedPipe(to)) refuse('it is a pipe, and whether anybody reads it is not known: name a file')
    // what a shell hands over, such as /dev/stdout or >(...), is read by somebody
    if (there && !statSync(to).isFile()) {
      accessSync(to, constants.W_OK)
      return
    }
    makeFolder(dirname(to))
    closeSync(openSync(to, 'a'))
    if (!there) unlinkSync(to)
  } catch (error) {
    if (!isSystemError(error)) throw error
    refuse(error.message)
  }
}

/** Whether a path leads to a pipe in a folder; opening one waits for its reader, even where none comes. */
function isNamedPipe(path: string): boolean {
  try {
    return lstatSync(realpathSync(path)).isFIFO()
  } catch (error) {
    // one that a shell has opened has no path
    if (!isSystemError(error)) throw error
    return false
  }
}

/** Makes a folder and those above it. Node 20 never returns from its own `recursive` in /proc. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return
  makeFolder(dirname(folder))
  mkdirSync(folder)
}

/** A command line as it may be shown: without the secrets of what looks like a connection in it. */
export function maskArguments(argv: string[]): string[] {
  const shown = (word: string) =>
    /^[a-z][a-z0-9+.-]*:\/\//i.test(word)
      ? maskUrl(word)
      : /^[^\s:]+:\S*@|\bpassword\s*=/i.test(word)
        ? '(hidden)'
        : word
  return argv.map(word => {
    const [, flag, value] = /^(--[\w-]+=)(.*)$/s.exec(word) ?? []
    return flag === undefined ? shown(word) : `${flag}${shown(value!)}`
  })
}

/** A text in which words of a command line are shown as `maskArguments` shows them. */
export function maskWords(text: string, argv: string[]): string {
  const masked = maskArguments(argv)
  return argv.reduce(
    (shown, word, i) => (word === masked[i] ? shown : shown.replaceAll(word, masked[i]!)),
    text,
  )
}

/** No secret in any output: the URL's password is cut wherever it shows. */
function maskSecrets(text: string, url: string): string {
  if (url === '') return text
  // the URL first: without its password it would not be found any more
  let masked = text.replaceAll(url, maskUrl(url))
  for (const secret of secretsIn(url)) masked = masked.replaceAll(secret, '***')
  return masked
}

/** Where an error comes from, for a terminal: what a server has said in it is other people's text. */
export const shownStack = (error: Error, url: string): string =>
  terminalText(maskSecrets((error.cause as Error | undefined)?.stack ?? error.stack ?? '', url))

/** A report whose findings quote neither a secret of the target's URL nor a URL among the words typed. */
export function withoutSecrets(report: Report, url: string, typed: string[]): Report {
  const named = new Set([report.target?.database, report.target?.role, report.target?.host])
  // a password that is also a name would take that name out of every sentence
  const quoted = secretsIn(url).some(secret => named.has(secret)) ? '' : url
  const { findings } = escaped({ ...emptyReport(report.command), findings: report.findings }, text =>
    maskWords(maskSecrets(text, quoted), typed),
  )
  return { ...report, findings }
}
