# The program in an image.
#
# NOT EXERCISED: nobody has built this file yet. What is tested is `make run` and `make test`.

FROM rust:1.94-bookworm AS build
# librdkafka and AWS-LC are built from source.
RUN apt-get update && apt-get install -y --no-install-recommends cmake pkg-config zlib1g-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --profile dist --locked --bin onrush

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates zlib1g \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --no-create-home onrush
COPY --from=build /src/target/dist/onrush /usr/local/bin/onrush
USER onrush
EXPOSE 8080
ENTRYPOINT ["onrush"]
CMD ["all"]
