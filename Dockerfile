# rethread as a program: docker run --rm -v "$PWD/db:/work" -e DATABASE_URL rethread plan
FROM node:22-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
RUN npm run -s build && npm prune --omit=dev --no-audit --no-fund

FROM node:22-slim
WORKDIR /opt/rethread
COPY --from=build /src/package.json ./
COPY --from=build /src/node_modules ./node_modules
COPY --from=build /src/dist ./dist
COPY --from=build /src/migrations ./migrations
COPY --from=build /src/rollbacks ./rollbacks
COPY --from=build /src/verify ./verify
USER node
# your folder with migrations/, or rethread.config.json, is mounted or copied here
WORKDIR /work
ENTRYPOINT ["node", "/opt/rethread/dist/cli/main.js"]
CMD ["--help"]
