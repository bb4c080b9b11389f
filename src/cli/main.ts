#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8'
import { cli } from './program.js'

// a small young generation: a long backfill only makes short-lived objects, so memory stays low
setFlagsFromString('--semi-space-growth-factor=1')
// do not optimise the WebAssembly of PostgreSQL's parser: that takes half a second of both cores, for which
// the process would wait at its end, and even a thousand files do not gain from it
setFlagsFromString('--liftoff-only')

// a reader that leaves, such as `head`, does not end a run: what it still has to print is dropped
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })

process.exitCode = await cli(process.argv.slice(2), process)
// Everything is printed and closed. If something keeps the process alive, a deploy must not hang. Pipes have
// been written by then.
setTimeout(() => process.exit(), 10_000).unref()
