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

/** Writes a file that a flag names, and creates its folders. Returns findings for an error of the system. */
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
 * Throws UsageError if a file that a flag names cannot be written, before the command runs. It tries to
 * write, because permissions are not sufficient for /proc or a full disk.
 */
export function checkOutput(cwd: string, flag: string, path: string): void {
  const to = resolve(cwd, path)
  const refuse = (reason: string): never => {
    throw new UsageError(`${flag} ${path}`, reason)
  }
  // it would make folders that are named after a password
  if (isUrl.test(path)) refuse('it is a URL: name a file')
  try {
    const there = existsSync(to)
    if (there && statSync(to).isDirectory()) refuse('it is a folder')
    if (isNamedPipe(to)) refuse('it is a pipe, and whether anybody reads it is not known: name a file')
    // a pipe of the shell, such as /dev/stdout or >(...), has a reader
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

/** Whether a path is a named pipe. Opening one would wait for a reader. */
function isNamedPipe(path: string): boolean {
  try {
    return lstatSync(realpathSync(path)).isFIFO()
  } catch (error) {
    // a pipe that a shell has opened has no path
    if (!isSystemError(error)) throw error
    return false
  }
}

/** Creates a folder and its parents. With `recursive`, Node 20 never returns in /proc. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return
  makeFolder(dirname(folder))
  mkdirSync(folder)
}

/** A word of a command line that looks like a URL. */
const isUrl = /^[a-z][a-z0-9+.-]*:\/\//i

/** A command line to show, without secrets of anything that looks like a URL. */
export function maskArguments(argv: string[]): string[] {
  const shown = (word: string) =>
    isUrl.test(word) ? maskUrl(word) : /^[^\s:]+:\S*@|\bpassword\s*=/i.test(word) ? '(hidden)' : word
  return argv.map(word => {
    const [, flag, value] = /^(--[\w-]+=)(.*)$/s.exec(word) ?? []
    return flag === undefined ? shown(word) : `${flag}${shown(value!)}`
  })
}

/** A text in which words of a command line are masked as in `maskArguments`. */
export function maskWords(text: string, argv: string[]): string {
  const masked = maskArguments(argv)
  return argv.reduce(
    (shown, word, i) => (word === masked[i] ? shown : shown.replaceAll(word, masked[i]!)),
    text,
  )
}

/** Masks the URL's password wherever it occurs in a text. */
function maskSecrets(text: string, url: string): string {
  if (url === '') return text
  // first the URL: with a masked password it would not be found
  let masked = text.replaceAll(url, () => maskUrl(url))
  for (const secret of secretsIn(url)) masked = masked.replaceAll(secret, '***')
  return masked
}

/** The stack of an error for a terminal. Control characters are escaped, because it may quote the server. */
export const shownStack = (error: Error, url: string): string =>
  terminalText(maskSecrets((error.cause as Error | undefined)?.stack ?? error.stack ?? '', url))

/** A report whose findings quote neither a secret of the target's URL nor a URL of the command line. */
export function withoutSecrets(report: Report, url: string, typed: string[]): Report {
  const named = new Set([report.target?.database, report.target?.role, report.target?.host])
  // a password that equals a name would be masked in every sentence with the name
  const quoted = secretsIn(url).some(secret => named.has(secret)) ? '' : url
  const { findings } = escaped({ ...emptyReport(report.command), findings: report.findings }, text =>
    // as a path, a URL has lost a slash
    typed
      .filter(word => isUrl.test(word) && word !== url)
      .reduce(maskSecrets, maskWords(maskSecrets(text, quoted), typed)),
  )
  return { ...report, findings }
}
