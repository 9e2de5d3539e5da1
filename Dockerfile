# One image with the four services; the command says which of them runs.

FROM node:20-bookworm-slim AS dashboard
WORKDIR /src/web/dashboard
COPY web/dashboard/package.json web/dashboard/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY web/dashboard ./
RUN npm run build

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
COPY --from=dashboard /src/web/dashboard/dist web/dashboard/dist
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked -p meter-agent -p market -p settlement -p web \
    && mkdir /out \
    && cp target/release/meter-agent target/release/market target/release/settlement target/release/web /out/

FROM debian:bookworm-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin busbar
COPY --from=build /out/ /usr/local/bin/
# A volume mounted here is this user's: the settlement keystores.
RUN install -d -o 10001 -g 10001 -m 700 /keys
USER 10001:10001
EXPOSE 8080
CMD ["web", "run"]
