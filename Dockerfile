# syntax=docker/dockerfile:1
# tidemark as a small image without root: docker build -t tidemark .
FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
# The C libraries take the longest; both caches stay for the next build.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked \
    && install -D target/release/tidemark /out/usr/local/bin/tidemark
# What `tidemark demo` runs, for docker-compose.yml.
RUN install -D -m 644 config/examples/demo.yaml /out/etc/tidemark/demo.yaml \
    && for version in v7 v8; do \
         gunzip -c "src/demo/data/census-$version.json.gz" > "/out/etc/tidemark/census-$version.json"; \
       done

FROM debian:12.12-slim
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out /
RUN useradd --system --uid 10001 --home-dir /var/lib/tidemark tidemark \
    && install -d -o tidemark -g tidemark -m 750 /var/lib/tidemark
USER 10001
WORKDIR /var/lib/tidemark
EXPOSE 9464
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/tidemark"]
CMD ["run", "-c", "/etc/tidemark/tidemark.yaml"]
