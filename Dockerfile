# lrbench with Ray and S3. Build: docker build -t lrbench .
# Run: docker run --gpus all -v "$PWD":/bench -v ~/data:/data lrbench run quick --out /bench/runs/quick
FROM python:3.12-slim
COPY . /opt/lrbench
RUN pip install --no-cache-dir '/opt/lrbench[ray,s3]'
ENV LRBENCH_DATA=/data LRBENCH_CACHE=/data/cache
WORKDIR /bench
ENTRYPOINT ["lrbench"]
