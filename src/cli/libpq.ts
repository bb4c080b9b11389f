import { existsSync, readFileSync, statSync } from 'node:fs'
import { homedir, platform, userInfo } from 'node:os'
import { join } from 'node:path'
import { readAddress, urlOf } from '../database/address.js'
import { Failure } from '../model/failure.js'

type Environment = NodeJS.ProcessEnv

/** Parameters of a connection with libpq's names, such as host and dbname. */
type Parameters = Record<string, string>

/** libpq's environment variables with their parameters. */
const variables: Record<string, string> = {
  PGHOST: 'host',
  PGHOSTADDR: 'hostaddr',
  PGPORT: 'port',
  PGDATABASE: 'dbname',
  PGUSER: 'user',
  PGPASSWORD: 'password',
  PGSSLMODE: 'sslmode',
  PGSSLROOTCERT: 'sslrootcert',
  PGSSLCERT: 'sslcert',
  PGSSLKEY: 'sslkey',
  PGOPTIONS: 'options',
}

/** The URL from libpq's variables and service file; empty if they name nothing. */
export function urlOfEnvironment(env: Environment): string {
  const service = env.PGSERVICE ? readService(env.PGSERVICE, env) : {}
  if (!env.PGSERVICE && !env.PGHOST && !env.PGHOSTADDR && !env.PGDATABASE && !env.PGUSER) return ''
  const given: Parameters = {}
  for (const [name, parameter] of Object.entries(variables)) if (env[name]) given[parameter] = env[name]
  // like libpq: the service file takes precedence over the variables
  const all = { ...given, ...service }
  return urlOf({ ...all, user: all.user ?? userInfo().username })
}

/** A URL with the password from libpq's password file, if it has none. */
export function withPassword(url: string, env: Environment): string {
  const { host, port, database, user, password } = readAddress(url)
  if (password || env.PGPASSWORD) return url
  const path = env.PGPASSFILE ?? join(env.HOME ?? homedir(), '.pgpass')
  if (!existsSync(path) || !statSync(path).isFile()) return url
  // like libpq: ignore a file that others may read
  if (platform() !== 'win32' && (statSync(path).mode & 0o077) !== 0) return url
  const wanted = [
    host.startsWith('/') ? 'localhost' : host,
    String(port),
    database,
    user || userInfo().username,
  ]
  for (const line of readFileSync(path, 'utf8').split(/\r?\n/)) {
    if (line.startsWith('#')) continue
    const fields = [...line.matchAll(/(?:^|:)((?:\\.|[^:\\])*)/g)].map(m => m[1]!.replace(/\\(.)/g, '$1'))
    if (fields.length >= 5 && wanted.every((value, i) => fields[i] === '*' || fields[i] === value))
      return urlOf({ password: fields[4]! }, url)
  }
  return url
}

/** The parameters of a service. Throws BAD_URL if no file has it. */
function readService(name: string, env: Environment): Parameters {
  const files = [
    env.PGSERVICEFILE ?? join(env.HOME ?? homedir(), '.pg_service.conf'),
    join(env.PGSYSCONFDIR ?? '/etc', 'pg_service.conf'),
  ]
  for (const file of files) {
    if (!existsSync(file) || !statSync(file).isFile()) continue
    const [, section] =
      readFileSync(file, 'utf8')
        .split(/^[ \t]*\[/m)
        .map(text => /^([^\]\n]*)\][^\n]*\n?([\s\S]*)$/.exec(text))
        .filter(found => found?.[1] === name)
        .map(found => [name, found![2]!] as const)[0] ?? []
    if (section === undefined) continue
    const lines = section.split(/\r?\n/).flatMap(line => {
      const [, key, value] = /^\s*([a-z_]+)\s*=\s*(.*?)\s*$/.exec(line) ?? []
      return key === undefined ? [] : [[key, value!] as const]
    })
    return Object.fromEntries(lines)
  }
  throw new Failure('BAD_URL', `PGSERVICE=${name}`, { reason: `no such service in ${files.join(' or ')}` })
}
